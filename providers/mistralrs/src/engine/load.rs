//! Loads a model into an engine of its own.

use std::fs;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use image::DynamicImage;
use mistralrs::core::{
    AutoDeviceMapParams, ChatTemplate as ChatTemplateFile, DefaultSchedulerMethod, DeviceMapSetting,
    EmbeddingLoaderBuilder, EmbeddingSpecificConfig, GGUFLoaderBuilder, GGUFSpecificConfig, Loader, MemoryGpuConfig,
    MistralRsBuilder, ModelDType, ModelGenerationDefaults, MultimodalLoaderBuilder, MultimodalLoaderType,
    MultimodalSpecificConfig, NormalLoaderBuilder, NormalSpecificConfig, PagedAttentionConfig, PagedCacheType,
    Pipeline, SchedulerConfig, TokenSource,
};
use mistralrs::llguidance::ParserFactory;
use mistralrs::{paged_attn_supported, parse_isq_value};
use puna_api::{Error, Host, Result};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, oneshot};
use tracing::Level;

use super::kv_use::{Blocks, KvShape};
use super::picker::EndTokens;
use super::stand_in::StandIn;
use super::turns::Turns;
use super::vision::{self, PassedOn, Sight};
use super::{Encode, Engine, SamplingDefaults, Tokenizer};
use crate::checkpoint::{Checkpoint, Layout, View, Vision};
use crate::config::{DType, Device, KvCache, PagedAttention};
use crate::error;
use crate::generation::{GenerationRequest, Held, Next};
use crate::meters::{Counted, Meters};
use crate::sampling::Sampling;
use crate::template::{ChatTemplate, TemplateSource};

/// What an engine is made from.
#[derive(Debug)]
pub(crate) struct EngineSettings {
    /// The id that requests name the model by.
    pub(crate) id: String,
    /// The model's files.
    pub(crate) checkpoint: Checkpoint,
    /// The number format to compute in.
    pub(crate) dtype: DType,
    /// The device to compute on.
    pub(crate) device: Device,
    /// The most tokens of prompt and answer together, if fewer than the model can have.
    pub(crate) max_sequence_length: Option<NonZeroUsize>,
    /// A template that takes the place of the model's own.
    pub(crate) chat_template: Option<PathBuf>,
    /// The format to quantise the weights to.
    pub(crate) isq: Option<String>,
    /// The first file of weights in the format UQFF.
    pub(crate) uqff: Option<String>,
    /// Whether keys and values are kept in blocks.
    pub(crate) paged_attention: PagedAttention,
    /// The room for keys and values, where they are.
    pub(crate) kv_cache: KvCache,
    /// How many answers run at the same time.
    pub(crate) max_running: NonZeroUsize,
    /// How long an answer is written, at least, before it steps aside, where one runs at a time; none is to its end.
    pub(crate) turn: Option<Duration>,
    /// How many answers may wait.
    pub(crate) max_waiting: usize,
    /// What is measured.
    pub(crate) meters: Meters,
    /// Where the work goes on that an answer needs between its turns.
    pub(crate) host: Host,
}

/// Loads a model and lets it generate, so that a model that cannot work is found out now.
pub(super) async fn load(settings: EngineSettings) -> Result<Engine> {
    let engine = on_a_thread(settings, load_here).await?;
    try_out(&engine).await?;
    Ok(engine)
}

/// Reads weights, which takes seconds to minutes and never pauses, aside from the runtime's threads.
pub(super) async fn on_a_thread<T: Send + 'static>(
    settings: EngineSettings,
    read: fn(&EngineSettings) -> Result<T>,
) -> Result<T> {
    let id = settings.id.clone();
    let (sender, receiver) = oneshot::channel();
    let spawned = thread::Builder::new().name("puna-load".to_owned()).spawn(move || {
        let id = settings.id.clone();
        let loaded = catch_unwind(AssertUnwindSafe(|| quietly(|| read(&settings))));
        let loaded = loaded.unwrap_or_else(|panic| Err(error::load(&id, &panic_message(panic.as_ref()))));
        // The receiver is gone when the server gave up starting.
        let _ = sender.send(loaded);
    });
    spawned.map_err(|cause| error::load(&id, &cause.to_string()))?;
    receiver
        .await
        .map_err(|_| error::load(&id, "the loading thread ended"))?
}

/// A text, and for a model that looks at images, one of those.
async fn try_out(engine: &Engine) -> Result<()> {
    let token = engine.tokenizer.begin_token.unwrap_or(0);
    try_prompt(engine, vec![token], None).await?;
    let Some(vision) = &engine.vision else { return Ok(()) };
    let prompt = engine.tokenizer.encode(vision.mark, true)?;
    let image = vision.prepare(DynamicImage::new_rgb8(64, 64))?;
    let sight = engine.sight(vision.mark, &prompt, vec![image])?;
    try_prompt(engine, prompt, sight).await
}

/// Two tokens: the first comes of the prompt, the second of the first.
async fn try_prompt(engine: &Engine, prompt: Vec<u32>, sight: Option<Sight>) -> Result<()> {
    let mut generation = engine
        .generate(GenerationRequest {
            prompt: prompt.into(),
            sight,
            choice: 0,
            max_tokens: 2,
            sampling: Sampling {
                temperature: 0.0,
                ..Sampling::default()
            },
            held: Held::Nothing,
            top_logprobs: None,
            scores_prompt: false,
        })
        .await?;
    let mut next = generation.next().await;
    if let Ok(Next::Token(_)) = next {
        next = generation.next().await;
    }
    next.map(drop).map_err(|error| untried(&engine.id, &error))
}

/// A model that was read but does not work.
pub(super) fn untried(id: &str, error: &Error) -> Error {
    let cause = error.context().first().map_or(error.message(), String::as_str);
    error::load(id, cause)
}

/// The engine tells a page of details about each model that it loads; they are for those who debug it.
fn quietly<T>(read: impl FnOnce() -> T) -> T {
    if tracing::enabled!(target: "mistralrs_core", Level::DEBUG) {
        return read();
    }
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), read)
}

/// Runs something in a runtime of its own, which the engine asks for while it is made.
pub(super) fn in_a_runtime<T>(id: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|cause| error::load(id, &cause.to_string()))?
        .block_on(work)
}

fn load_here(settings: &EngineSettings) -> Result<Engine> {
    let failed = |cause: String| error::load(&settings.id, &cause);
    in_a_runtime(&settings.id, async {
        let pipeline = read(settings).map_err(failed)?;
        let model = describe(&pipeline, settings).map_err(failed)?;
        let own = match &settings.checkpoint {
            Checkpoint {
                layout: Layout::Folder(folder),
                vision: Some(_),
                ..
            } => vision::own_template(folder)?,
            _ => model.template,
        };
        let begin_text = model.special_tokens["bos_token"].as_str().map(str::to_owned);
        let template = template(settings, own, model.special_tokens)?;
        let vision = settings.checkpoint.vision.clone();
        let at_once = at_once(settings, model.is_on_cpu);
        let is_paged = model.paged.is_some();
        let scheduler = model.paged.unwrap_or(SchedulerConfig::DefaultScheduler {
            method: DefaultSchedulerMethod::Fixed(at_once),
        });
        // Without blocks, the engine's cache of prompts never drops anything on a CPU, and makes an answer depend on those before it.
        let keeps_prefixes =
            is_paged && settings.kv_cache.keeps_prefixes && !vision.as_ref().is_some_and(Vision::is_alone);
        let engine = MistralRsBuilder::new(pipeline, scheduler, false, None)
            .with_no_prefix_cache(!keeps_prefixes)
            .build()
            .await;
        let requests = engine.get_sender(None).map_err(|cause| failed(cause.to_string()))?;
        let context_length = settings
            .max_sequence_length
            .map_or(model.context_length, |most| most.get().min(model.context_length));
        let context_length = model
            .kv_shape
            .capacity()
            .map_or(context_length, |most| most.min(context_length));
        Ok(Engine {
            id: settings.id.clone(),
            _engine: engine,
            requests,
            image_tokens: image_tokens(&model.tokenizer, vision.as_ref())?,
            tokenizer: model.tokenizer,
            grammars: model.grammars,
            template,
            vision,
            begin_text,
            end_tokens: Arc::new(model.end_tokens),
            context_length,
            defaults: model.defaults,
            turns: Arc::new(Turns::new(
                &settings.id,
                at_once.get(),
                settings.turn,
                settings.max_waiting,
                settings.meters.clone(),
            )),
            kv_shape: model.kv_shape,
            meters: settings.meters.clone(),
            _loaded: Counted::new(&settings.meters.loaded),
            host: settings.host.clone(),
        })
    })
}

/// How many answers the engine may work on at the same time.
fn at_once(settings: &EngineSettings, is_on_cpu: bool) -> NonZeroUsize {
    // On a CPU the engine's attention has one scratchpad for all answers of a step: they would see each other's text.
    if is_on_cpu || settings.checkpoint.vision.as_ref().is_some_and(Vision::is_alone) {
        NonZeroUsize::MIN
    } else {
        settings.max_running
    }
}

/// The tokens that stand for images, or for parts of them.
fn image_tokens(tokenizer: &Tokenizer, vision: Option<&Vision>) -> Result<Arc<[u32]>> {
    let mut all = Vec::new();
    for mark in vision.map_or(&[][..], |vision| vision.reserved) {
        if let [token] = tokenizer.encode(mark, false)?[..] {
            all.push(token);
        }
    }
    Ok(all.into())
}

/// Reads the weights.
pub(super) fn read(settings: &EngineSettings) -> Result<Arc<Mutex<dyn Pipeline>>, String> {
    let device = device(settings.device)?;
    let dtype = match settings.dtype {
        DType::Auto if device.is_cpu() => ModelDType::F32,
        DType::Auto => ModelDType::Auto,
        DType::F32 => ModelDType::F32,
        DType::Bf16 => ModelDType::BF16,
        DType::F16 => ModelDType::F16,
    };
    let mapping = DeviceMapSetting::Auto(AutoDeviceMapParams::default_text());
    let isq = settings.isq.as_deref().map(|isq| parse_isq_value(isq, Some(&device)));
    let isq = isq.transpose()?;
    let passed_on = passed_on(settings)?;
    let stand_in = stand_in(settings)?;
    let loader = loader(settings, passed_on.as_ref(), stand_in.as_ref())?;
    let paged = paged_attention(settings, &device)?;
    let pipeline = loader
        .load_model_from_hf(None, TokenSource::None, &dtype, &device, true, mapping, isq, paged)
        .map_err(|cause| cause.to_string())?;
    Ok(pipeline)
}

/// How the model is to keep keys and values in blocks, where it is.
fn paged_attention(
    settings: &EngineSettings,
    device: &mistralrs::Device,
) -> Result<Option<PagedAttentionConfig>, String> {
    let is_possible = paged_attn_supported() && !device.is_cpu() && !settings.checkpoint.embeds;
    let is_wanted = match settings.paged_attention {
        PagedAttention::Auto => is_possible && device.is_cuda(),
        PagedAttention::On if !is_possible => {
            return Err("`paged_attention` is `on`, but the model is not on a GPU, or makes embeddings".to_owned());
        }
        PagedAttention::On => true,
        PagedAttention::Off => false,
    };
    if !is_wanted {
        return Ok(None);
    }
    let KvCache {
        memory_share,
        tokens,
        block_size,
        ..
    } = settings.kv_cache;
    let room = match tokens {
        Some(tokens) => MemoryGpuConfig::ContextSize(tokens.get()),
        None => MemoryGpuConfig::Utilization(memory_share.unwrap_or(0.9)),
    };
    PagedAttentionConfig::new(block_size, room, PagedCacheType::Auto)
        .map(Some)
        .map_err(|cause| cause.to_string())
}

/// What stands in for the template of a model that looks at images.
fn passed_on(settings: &EngineSettings) -> Result<Option<PassedOn>, String> {
    let (Some(_), Layout::Folder(folder)) = (&settings.checkpoint.vision, &settings.checkpoint.layout) else {
        return Ok(None);
    };
    let own = vision::own_template(folder).map_err(|error| error.message().to_owned())?;
    let data_dir = settings.host.data_dir().map_err(|error| error.message().to_owned())?;
    let written = PassedOn::write(data_dir, own.as_ref());
    written.map(Some).map_err(|error| error.message().to_owned())
}

/// What stands in for the folder of an embedding model that the engine would take for another.
fn stand_in(settings: &EngineSettings) -> Result<Option<StandIn>, String> {
    match &settings.checkpoint.layout {
        Layout::Folder(folder) if settings.checkpoint.embeds => {
            let data_dir = settings.host.data_dir().map_err(|error| error.message().to_owned())?;
            StandIn::of(folder, data_dir)
        }
        Layout::Folder(_) | Layout::Gguf(_) => Ok(None),
    }
}

fn loader(
    settings: &EngineSettings,
    passed_on: Option<&PassedOn>,
    stand_in: Option<&StandIn>,
) -> Result<Box<dyn Loader>, String> {
    match &settings.checkpoint.layout {
        Layout::Folder(folder) if settings.checkpoint.embeds => {
            let folder = utf8(stand_in.map_or(folder, StandIn::path))?.to_owned();
            let config = EmbeddingSpecificConfig {
                from_uqff: settings.uqff.as_ref().map(|name| vec![PathBuf::from(name)]),
                ..EmbeddingSpecificConfig::default()
            };
            Ok(EmbeddingLoaderBuilder::new(config, None, Some(folder)).build(None))
        }
        Layout::Folder(folder) if passed_on.is_some() => {
            let folder = utf8(folder)?.to_owned();
            let config = MultimodalSpecificConfig {
                from_uqff: settings.uqff.as_ref().map(|name| vec![PathBuf::from(name)]),
                ..MultimodalSpecificConfig::default()
            };
            let template = passed_on.map(|file| utf8(file.path())).transpose()?.map(str::to_owned);
            let kind = match settings.checkpoint.vision.as_ref().map(|vision| &vision.view) {
                Some(View::Patches(_)) => MultimodalLoaderType::Qwen3VL,
                Some(View::Alike { .. }) | None => MultimodalLoaderType::Gemma3,
            };
            let loader = MultimodalLoaderBuilder::new(config, None, None, Some(folder), template);
            Ok(loader.build(Some(kind)))
        }
        Layout::Folder(folder) => {
            let folder = utf8(folder)?.to_owned();
            let config = NormalSpecificConfig {
                from_uqff: settings.uqff.as_ref().map(|name| vec![PathBuf::from(name)]),
                ..NormalSpecificConfig::default()
            };
            NormalLoaderBuilder::new(config, None, None, Some(folder), false, None)
                .build(None)
                .map_err(|cause| cause.to_string())
        }
        Layout::Gguf(_) if settings.isq.is_some() => {
            Err("the weights of a GGUF file keep their own formats; leave `isq` out".to_owned())
        }
        Layout::Gguf(file) => {
            let folder = file.parent().map(utf8).transpose()?.unwrap_or(".").to_owned();
            let name = file
                .file_name()
                .map(Path::new)
                .map(utf8)
                .transpose()?
                .unwrap_or_default()
                .to_owned();
            let config = GGUFSpecificConfig::default();
            Ok(GGUFLoaderBuilder::new(None, None, folder, vec![name], config, false, None).build())
        }
    }
}

fn utf8(path: &Path) -> Result<&str, String> {
    path.to_str()
        .ok_or_else(|| format!("the path {} is not valid UTF-8", path.display()))
}

fn device(device: Device) -> Result<mistralrs::Device, String> {
    let found = match device {
        Device::Auto => mistralrs::best_device(false),
        Device::Cpu => Ok(mistralrs::Device::Cpu),
        Device::Cuda(number) => mistralrs::Device::new_cuda(number),
        Device::Metal => mistralrs::Device::new_metal(0),
    };
    found.map_err(|cause| format!("the device `{device}` cannot be used: {cause}"))
}

/// What a loaded model says of itself.
struct Description {
    tokenizer: Tokenizer,
    grammars: Arc<ParserFactory>,
    template: Option<TemplateSource>,
    special_tokens: Map<String, Value>,
    end_tokens: EndTokens,
    context_length: usize,
    defaults: SamplingDefaults,
    is_on_cpu: bool,
    kv_shape: KvShape,
    /// How answers are scheduled where keys and values are kept in blocks.
    paged: Option<SchedulerConfig>,
}

fn describe(pipeline: &Mutex<dyn Pipeline>, settings: &EngineSettings) -> Result<Description, String> {
    let pipeline = pipeline.try_lock().map_err(|cause| cause.to_string())?;
    let metadata = pipeline.get_metadata();
    let tokenizer = pipeline.tokenizer().ok_or("the model has no tokenizer")?;
    let grammars = metadata
        .llg_factory
        .clone()
        .ok_or("the model's tokenizer does not tell the bytes of its tokens")?;
    let trie = grammars.tok_env().tok_trie();
    let tokens: Vec<Box<[u8]>> = (0..trie.vocab_size() as u32)
        .map(|token| trie.decode_ext(&[token], false).into_boxed_slice())
        .collect();
    let end_tokens = EndTokens {
        all: metadata.eos_tok.iter().copied().chain([trie.eos_token()]).collect(),
        of_engine: metadata.eos_tok.first().copied(),
        of_grammars: trie.eos_token(),
    };

    let chat_template = pipeline.get_chat_template();
    let chat_template = chat_template.as_deref();
    let names = [
        ("bos_token", chat_template.and_then(ChatTemplateFile::bos_tok)),
        ("eos_token", chat_template.and_then(ChatTemplateFile::eos_tok)),
        ("unk_token", chat_template.and_then(ChatTemplateFile::unk_tok)),
    ];
    let begin_token = names[0].1.as_ref().and_then(|text| tokenizer.token_to_id(text));
    let special_tokens = names
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.map_or(Value::Null, Value::from)));
    let drops_first_space = tokens
        .iter()
        .position(|bytes| bytes.len() > 1 && bytes[0] == b' ' && bytes[1].is_ascii_alphabetic())
        .and_then(|token| tokenizer.decode(&[token as u32], false).ok())
        .is_some_and(|text| !text.starts_with(' '));
    let defaults = pipeline.generation_defaults();

    let bytes_per_token = metadata.model_metadata.as_ref().map_or(0, |shape| {
        shape.num_layers() * shape.kv_cache_elements_per_token() * metadata.activation_dtype.size_in_bytes()
    });
    let blocks = metadata.cache_config.as_ref().map(|cache| Blocks {
        size: cache.block_size,
        count: cache.num_gpu_blocks,
        usage: settings.meters.kv_cache_usage(),
    });
    let paged = metadata
        .cache_config
        .clone()
        .map(|config| SchedulerConfig::PagedAttentionMeta {
            max_num_seqs: at_once(settings, pipeline.device().is_cpu()).get(),
            config,
        });

    Ok(Description {
        template: chat_template.and_then(template_source),
        special_tokens: special_tokens.collect(),
        end_tokens,
        context_length: metadata.max_seq_len,
        is_on_cpu: pipeline.device().is_cpu(),
        kv_shape: KvShape {
            bytes_per_token,
            blocks,
        },
        paged,
        defaults: defaults.as_ref().map(sampling_defaults).unwrap_or_default(),
        tokenizer: Tokenizer {
            longest_token: tokens.iter().map(|bytes| bytes.len()).max().unwrap_or_default(),
            tokens,
            begin_token,
            drops_first_space,
            encode: encoder(&*pipeline)?.0,
        },
        grammars,
    })
}

/// What gives the tokens of texts, and how many tokens there are.
pub(super) fn encoder(pipeline: &dyn Pipeline) -> Result<(Box<Encode>, usize), String> {
    let tokenizer = pipeline.tokenizer().ok_or("the model has no tokenizer")?;
    let size = tokenizer.get_vocab_size(true);
    let encode = move |text: &str, with_marks| {
        let encoding = tokenizer
            .encode_fast(text, with_marks)
            .map_err(|cause| cause.to_string())?;
        Ok(encoding.get_ids().to_vec())
    };
    Ok((Box::new(encode), size))
}

/// The template that the configuration names, or else the model's own.
fn template(
    settings: &EngineSettings,
    own: Option<TemplateSource>,
    special_tokens: Map<String, Value>,
) -> Result<Option<ChatTemplate>> {
    let source = match &settings.chat_template {
        Some(file) => {
            let default = fs::read_to_string(file).map_err(|cause| {
                Error::configuration(format!("cannot read the chat template {}: {cause}", file.display()))
                    .with_source(cause)
            })?;
            Some(TemplateSource {
                default,
                tool_use: None,
            })
        }
        None => own,
    };
    source
        .map(|source| ChatTemplate::new(source, special_tokens))
        .transpose()
}

/// A model has one template, or a list of them by name.
fn template_source(file: &ChatTemplateFile) -> Option<TemplateSource> {
    let templates = &file.chat_template.as_ref()?.0;
    if let Some(default) = templates.as_ref().left() {
        return Some(TemplateSource {
            default: default.clone(),
            tool_use: None,
        });
    }
    let named = |name: &str| {
        let mut templates = templates.as_ref().right()?.iter();
        templates
            .find(|entry| entry.get("name").is_some_and(|found| found == name))?
            .get("template")
            .cloned()
    };
    Some(TemplateSource {
        default: named("default")?,
        tool_use: named("tool_use"),
    })
}

fn sampling_defaults(defaults: &ModelGenerationDefaults) -> SamplingDefaults {
    let greedy = defaults.do_sample == Some(false);
    SamplingDefaults {
        temperature: if greedy { Some(0.0) } else { defaults.temperature },
        top_p: defaults.top_p,
        top_k: defaults.top_k.filter(|top_k| *top_k > 0),
        min_p: defaults.min_p,
        repetition_penalty: defaults.repetition_penalty.map(f64::from),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the engine panicked".to_owned())
}
