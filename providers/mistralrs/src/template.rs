//! Lays out a conversation as a model expects it, by the Jinja template that comes with the model.

use std::io;
use std::sync::Arc;

use minijinja::value::{Kwargs, Rest, Value as JinjaValue};
use minijinja::{Environment, Error as JinjaError, ErrorKind as JinjaErrorKind, State};
use puna_api::{Error, Result};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use serde_json::{Map, Value, json};

use crate::reasoning;

/// Steps that a template may take: enough for a conversation of a hundred thousand messages, and a second or two of work.
const FUEL: u64 = 10_000_000;

/// The longest prompt that a template may write.
const MAX_PROMPT_BYTES: usize = 64 * 1024 * 1024;

/// The widest indentation, or field of a formatted text, that a template may ask for.
const MAX_WIDTH: usize = 1_000;

const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";

/// A model's chat template, compiled. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    has_tool_template: bool,
    reads_reasoning_effort: bool,
    thinks: bool,
    special_tokens: Map<String, Value>,
}

/// The sources of a model's templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateSource {
    /// The one for all conversations, or for those without tools.
    pub(crate) default: String,
    /// The one for conversations with tools, in models that have two.
    pub(crate) tool_use: Option<String>,
}

/// What a template is given.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// The messages, as JSON objects with `role` and `content`.
    pub(crate) messages: Vec<Value>,
    /// The tools, as JSON objects with `type` and `function`.
    pub(crate) tools: Vec<Value>,
    /// Variables for this conversation alone.
    pub(crate) variables: Map<String, Value>,
}

impl ChatTemplate {
    /// Compiles a template. `special_tokens` are variables such as `bos_token`.
    ///
    /// Fails as a configuration error when a source is not valid.
    pub(crate) fn new(source: TemplateSource, special_tokens: Map<String, Value>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_lstrip_blocks(true);
        environment.set_trim_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(method);
        environment.add_filter("tojson", to_json);
        environment.add_filter("indent", indent);
        environment.add_filter("format", format);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        let sources = [
            Some((DEFAULT, source.default)),
            source.tool_use.map(|text| (TOOL_USE, text)),
        ];
        let mut reads_reasoning_effort = false;
        let mut thinks = false;
        for (name, text) in sources.iter().flatten() {
            reads_reasoning_effort |= text.contains("reasoning_effort");
            thinks |= text.contains(reasoning::OPEN);
            environment.add_template_owned(*name, portable(text)).map_err(|error| {
                Error::configuration(format!(
                    "the model's chat template is not valid: {}",
                    first_line(&error)
                ))
            })?;
        }
        let has_tool_template = sources[1].is_some();
        Ok(Self {
            environment: Arc::new(environment),
            has_tool_template,
            reads_reasoning_effort,
            thinks,
            special_tokens,
        })
    }

    /// Whether the template makes use of `reasoning_effort`.
    pub(crate) fn reads_reasoning_effort(&self) -> bool {
        self.reads_reasoning_effort
    }

    /// Whether the template knows of thinking, as those of models do that think aloud.
    pub(crate) fn thinks(&self) -> bool {
        self.thinks
    }

    /// The prompt for the model's next message. Fails as an invalid request where the template refuses the conversation.
    pub(crate) fn render(&self, conversation: &Conversation) -> Result<String> {
        let with_tools = !conversation.tools.is_empty();
        let name = if with_tools && self.has_tool_template {
            TOOL_USE
        } else {
            DEFAULT
        };
        let mut variables = self.special_tokens.clone();
        variables.insert("documents".to_owned(), Value::Null);
        variables.extend(conversation.variables.clone());
        variables.insert("add_generation_prompt".to_owned(), json!(true));
        let tools = if with_tools {
            JinjaValue::from_serialize(&conversation.tools)
        } else {
            JinjaValue::from(())
        };
        let context = minijinja::context! {
            messages => JinjaValue::from_serialize(&conversation.messages),
            tools => tools,
            ..JinjaValue::from_serialize(&variables),
        };
        let mut prompt = Bounded::default();
        self.environment
            .get_template(name)
            .and_then(|template| template.render_captured_to(context, &mut prompt).map(drop))
            .and_then(|()| prompt.text())
            .map_err(|error| {
                Error::invalid_request(format!(
                    "the model's chat template refuses the messages: {}",
                    first_line(&error)
                ))
                .with_param("messages")
                .with_source(error)
            })
    }
}

/// Takes what a template writes, up to a bound.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Bounded {
    fn text(self) -> Result<String, JinjaError> {
        String::from_utf8(self.0).map_err(|cause| JinjaError::new(JinjaErrorKind::WriteFailure, cause.to_string()))
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > MAX_PROMPT_BYTES - self.0.len() {
            return Err(io::Error::other(format!(
                "it writes more than {MAX_PROMPT_BYTES} bytes"
            )));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Rewrites what templates take from Python's Jinja and this engine has another word for.
fn portable(source: &str) -> String {
    source
        .replace("[::-1]", "|reverse")
        .replace("{% generation %}", "")
        .replace("{% endgeneration %}", "")
}

fn first_line(error: &JinjaError) -> String {
    let text = error.detail().map_or_else(|| error.to_string(), str::to_owned);
    text.lines().next().unwrap_or_default().to_owned()
}

/// Methods as Python has them.
fn method(
    state: &State<'_, '_>,
    value: &JinjaValue,
    name: &str,
    args: &[JinjaValue],
) -> Result<JinjaValue, JinjaError> {
    if name == "format" {
        check_widths(value)?;
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

fn format(state: &State<'_, '_>, text: &JinjaValue, args: Rest<JinjaValue>) -> Result<JinjaValue, JinjaError> {
    check_widths(text)?;
    minijinja::filters::format(state, text, args)
}

/// A field of any width would take all memory.
fn check_widths(format: &JinjaValue) -> Result<(), JinjaError> {
    let text = format.as_str().unwrap_or_default();
    let mut digits = text.split(|character: char| !character.is_ascii_digit());
    if digits.any(|digits| digits.len() > 3) {
        return Err(too_wide());
    }
    Ok(())
}

fn indent(text: &str, width: usize, first: Option<bool>, blank: Option<bool>) -> Result<String, JinjaError> {
    if width > MAX_WIDTH {
        return Err(too_wide());
    }
    let lines = text.split('\n').enumerate().map(|(number, line)| {
        let is_indented = (number > 0 || first == Some(true)) && (!line.is_empty() || blank == Some(true));
        let width = if is_indented { width } else { 0 };
        format!("{:width$}{line}", "")
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn too_wide() -> JinjaError {
    JinjaError::new(
        JinjaErrorKind::InvalidOperation,
        "a width of more than 1,000 characters",
    )
}

fn raise_exception(message: String) -> Result<String, JinjaError> {
    Err(JinjaError::new(JinjaErrorKind::InvalidOperation, message))
}

fn strftime_now(format: &str) -> Result<String, JinjaError> {
    use std::fmt::Write;

    let mut text = String::new();
    write!(text, "{}", chrono::Utc::now().format(format)).map_err(|_| {
        JinjaError::new(
            JinjaErrorKind::InvalidOperation,
            format!("`{format}` is not a valid format of a time"),
        )
    })?;
    Ok(text)
}

/// JSON as Python's `json.dumps` writes it, because that is what models saw when they were trained: a space behind each comma
/// and colon, and nothing escaped that need not be.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what a filter of the template engine is given"
)]
fn to_json(value: &JinjaValue, options: Kwargs) -> Result<JinjaValue, JinjaError> {
    let indent: Option<usize> = options.get("indent")?;
    // Has no effect in Python either for text that is not sorted or escaped.
    let _: Option<bool> = options.get("ensure_ascii")?;
    let mut bytes = Vec::new();
    let written = match indent {
        Some(indent) => {
            let indent = b" ".repeat(indent.min(16));
            let formatter = PrettyFormatter::with_indent(&indent);
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Spaced)),
    };
    let bad = |_| JinjaError::new(JinjaErrorKind::BadSerialization, "a value has no form in JSON");
    written.map_err(bad)?;
    String::from_utf8(bytes)
        .map(JinjaValue::from_safe_string)
        .map_err(|_| JinjaError::new(JinjaErrorKind::BadSerialization, "a value has no form in JSON"))
}

/// Writes JSON on one line with a space behind each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use puna_api::ErrorKind;

    use super::*;

    fn template(source: &str) -> ChatTemplate {
        let special_tokens = Map::from_iter([("bos_token".to_owned(), json!("<s>"))]);
        ChatTemplate::new(
            TemplateSource {
                default: source.to_owned(),
                tool_use: None,
            },
            special_tokens,
        )
        .unwrap()
    }

    fn conversation(messages: Value) -> Conversation {
        let Value::Array(messages) = messages else {
            panic!("messages are an array")
        };
        Conversation {
            messages,
            ..Conversation::default()
        }
    }

    #[test]
    fn renders_what_templates_commonly_use() {
        let cases = [
            ("{{ bos_token }}{{ messages[0]['content'].strip() }}", "<s>hi"),
            ("{% if tools is not none %}tools{% else %}none{% endif %}", "none"),
            ("{% for m in messages[::-1] %}{{ m.role }} {% endfor %}", "user "),
            ("{{ messages[0] | tojson }}", r#"{"role": "user", "content": " hi "}"#),
            ("{% if add_generation_prompt %}go{% endif %}", "go"),
            (
                "{% if not date is defined %}{% set date = 'x' %}{% endif %}{{ date }}",
                "x",
            ),
            ("{% generation %}a{% endgeneration %}", "a"),
            ("{{ '<&>' | tojson }}", r#""<&>""#),
            ("{{ strftime_now('%Y')[:2] }}", "20"),
            ("{{ 'a\n\nb'|indent(2) }}", "a\n\n  b"),
            ("{{ '{}-{}'.format(1, 'x') }}", "1-x"),
            ("{{ '%03d'|format(7) }}", "007"),
            (
                "{% set n = namespace(value=0) %}{% set n.value = n.value + 1 %}{% if 'image' in {'image': 1} and not more %}{{ n.value \
                 }}{% endif %}",
                "1",
            ),
        ];
        for (source, expected) in cases {
            let messages = json!([{"role": "user", "content": " hi "}]);
            assert_eq!(
                template(source).render(&conversation(messages)).unwrap(),
                expected,
                "{source}"
            );
        }
    }

    #[test]
    fn tools_and_variables_reach_the_template() {
        let source = TemplateSource {
            default: "plain{% if not enable_thinking %} and quick{% endif %}".to_owned(),
            tool_use: Some("{{ tools[0].function.name }}".to_owned()),
        };
        let template = ChatTemplate::new(source, Map::new()).unwrap();
        let mut conversation = conversation(json!([]));
        conversation
            .variables
            .insert("enable_thinking".to_owned(), json!(false));
        assert_eq!(template.render(&conversation).unwrap(), "plain and quick");
        conversation.tools = vec![json!({"type": "function", "function": {"name": "add"}})];
        assert_eq!(template.render(&conversation).unwrap(), "add");
    }

    #[test]
    fn what_a_template_refuses_is_the_callers_fault() {
        let error = template("{{ raise_exception('no tools please') }}")
            .render(&conversation(json!([])))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(
            error.message(),
            "the model's chat template refuses the messages: no tools please"
        );
        assert_eq!(error.param(), Some("messages"));
    }

    #[test]
    fn an_endless_template_comes_to_an_end() {
        for source in [
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
            "{% set s = 'x' * 9999999 %}{% for a in range(9999) %}{{ s }}{% endfor %}",
            "{{ 'x' | indent(99999999999999, true) }}",
            "{{ '{:99999999999}'.format('x') }}",
            "{{ '%99999999999d'|format(7) }}",
            "{{ 'x' * 99999999999 }}",
        ] {
            assert!(template(source).render(&conversation(json!([]))).is_err(), "{source}");
        }
    }

    #[test]
    fn a_template_that_does_not_parse_is_a_configuration_error() {
        let source = TemplateSource {
            default: "{% if %}".to_owned(),
            tool_use: None,
        };
        let error = ChatTemplate::new(source, Map::new()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}
