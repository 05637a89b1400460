//! What is no configuration is refused with its place, and nothing makes the reader panic.

use std::io::Write;

use proptest::prelude::*;
use puna_config::{BuildManifest, Overrides, Source};

use crate::starter::fixture;
use crate::support::{LINKED, SKIP, config, environment, load, load_with, report};

#[test]
fn texts_that_are_no_configuration_are_refused() {
    let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        let below = level - 1;
        format!("{text}a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n")
    });
    let deep_flow = "[".repeat(5000);
    let deep_block: String = (0..100).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    for (text, said) in [
        (
            "",
            "config.yaml:1:1: the configuration is empty (a configuration starts with `version: 2`)",
        ),
        (
            "# nothing\n",
            "config.yaml:1:1: the configuration is empty (a configuration starts with `version: 2`)",
        ),
        (
            "~",
            "config.yaml:1:1: must be a mapping (a configuration starts with `version: 2`)",
        ),
        (
            "[1, 2]",
            "config.yaml:1:1: must be a mapping (a configuration starts with `version: 2`)",
        ),
        (
            "version: 2\n---\nversion: 2\n",
            "config.yaml:2:1: a second document starts here (a configuration is one YAML document)",
        ),
        (
            "version: 2\nserver:\n\tport: 1\n",
            "(indent with spaces, not with tabs)",
        ),
        (
            "version: 2\nimage_name: a\nversion: 2\n",
            "config.yaml:3:1: the key `version` stands here a second time (first at line 1, column 1)",
        ),
        (
            "version: 2\nimage_name: a\n? [b]\n: c\n",
            "config.yaml:3:3: a key is a list or a mapping (keys are text)",
        ),
        ("version: 2\nimage_name: !foo a\n", "the tag `!foo` has no meaning here"),
        (
            "version: !!int two\nimage_name: a\n",
            "the value is not what its tag `!!int` says",
        ),
        ("image_name: *nowhere\n", "config.yaml:1:13: not valid YAML: "),
        (
            "a: &a [*a]\n",
            "config.yaml:1:8: an alias stands inside the value that it names",
        ),
        ("version: 2\nimage_name: [a\n", "not valid YAML: "),
        (
            "version: 2\n<<: 5\nimage_name: a\n",
            "config.yaml:2:5: `<<` merges mappings, and this is none",
        ),
        (&bomb, "holds more than 100000 values"),
        (&deep_flow, "nest deeper than 64 levels"),
        (&deep_block, "nest deeper than 64 levels"),
        (
            &"a".repeat(5 << 20),
            "more than the 4194304 that a configuration may have",
        ),
    ] {
        let report = report(text);
        assert!(report.contains(said), "{said}\n{report}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: &std::path::Path| {
        let problems = puna_config::load(
            &Source::File(path.to_owned()),
            LINKED,
            &environment(&[]),
            &Overrides::default(),
        )
        .unwrap_err();
        problems.to_string().replace(&folder.path().display().to_string(), "")
    };
    assert_eq!(
        load(&folder.path().join("none.yaml")),
        "/none.yaml: there is no such file"
    );
    assert_eq!(load(folder.path()), ": failed to read the file: it is a folder");
    let path = folder.path().join("latin1.yaml");
    std::fs::File::create(&path)
        .unwrap()
        .write_all(b"version: 2\nname: caf\xe9\n")
        .unwrap();
    assert_eq!(load(&path), "/latin1.yaml:2:10: not valid UTF-8");
    let path = folder.path().join("good.yaml");
    std::fs::write(&path, config("server: {port: x}")).unwrap();
    assert_eq!(
        load(&path),
        "/good.yaml:3:16 server.port: must be a whole number from 0 to 65535, not the text `x`"
    );
}

/// Texts that look like configurations, with anything at their places.
fn configurations() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("version".to_owned()),
        Just("image_name".to_owned()),
        Just("providers".to_owned()),
        Just("inference".to_owned()),
        Just("provider_id".to_owned()),
        Just("provider_type".to_owned()),
        Just("config".to_owned()),
        Just("server".to_owned()),
        Just("auth".to_owned()),
        Just("provider_config".to_owned()),
        Just("storage".to_owned()),
        Just("backends".to_owned()),
        Just("models".to_owned()),
        Just("registered_resources".to_owned()),
        Just("model_id".to_owned()),
        Just("port".to_owned()),
        Just("<<".to_owned()),
        "[a-z_]{1,8}",
    ];
    let scalar = prop_oneof![
        Just("2".to_owned()),
        Just("remote::mountain".to_owned()),
        Just("${env.HOME}".to_owned()),
        Just("${env.NONE:+x}".to_owned()),
        Just("'${env.NONE:=}'".to_owned()),
        Just("&a b".to_owned()),
        Just("*a".to_owned()),
        Just("!!str 5".to_owned()),
        Just("null".to_owned()),
        "[a-z0-9.$:{}\\[\\]-]{0,12}",
    ];
    let value = scalar.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec((key.clone(), inner.clone()), 0..6).prop_map(|entries| format!(
                "{{{}}}",
                entries
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    });
    prop::collection::vec(
        (
            "(version|image_name|apis|providers|server|storage|models|registered_resources|safety)",
            value,
        ),
        0..8,
    )
    .prop_map(|entries| entries.iter().map(|(key, value)| format!("{key}: {value}\n")).collect())
}

proptest! {
    #[test]
    fn any_manifest_is_read_or_refused(text in "((name|crates|features|version|path|git|rev): |\\PC|[\\n :\\-\\[\\]{},/]){0,60}") {
        if let Err(problems) = BuildManifest::read(&Source::Text { name: "build.yaml".to_owned(), text }) {
            prop_assert!(!problems.to_string().is_empty());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|[\\n\\t :\\-\\[\\]{}&*!|>'\"%#?,]){0,200}") {
        if let Err(problems) = load(&text) {
            prop_assert!(!problems.to_string().is_empty());
        }
    }

    #[test]
    fn anything_in_the_shape_of_a_configuration_is_read_or_refused(text in configurations()) {
        if let Err(problems) = load_with(&text, &[("PUNA_PORT", "x")], &SKIP) {
            prop_assert!(problems.iter().all(|problem| !problem.message.is_empty()));
        }
    }

    #[test]
    fn a_damaged_configuration_is_read_or_refused(at in 0_usize..8000, removed in 0_usize..40, inserted in "[\\n\\t :\\-\\[\\]{}&*!|>'\"%#?,a]{0,6}") {
        let Source::Text { name, text } = fixture("starter-0.8") else { return Ok(()) };
        let start = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let end = (start + removed).min(text.len());
        prop_assume!(text.is_char_boundary(end));
        let text = [&text[..start], &inserted, &text[end..]].concat();
        let result = puna_config::load(&Source::Text { name, text }, LINKED, &environment(&[]), &SKIP);
        if let Err(problems) = result {
            prop_assert!(!problems.to_string().is_empty());
        }
    }
}
