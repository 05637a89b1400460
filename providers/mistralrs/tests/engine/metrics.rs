//! What the engine measures.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use puna_provider_mistralrs::DEMO_MODEL;
use serde_json::json;

use crate::local::{CONTEXT, Local, body, long};

/// Keeps what is measured.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Kept {
    fn series(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
        assert!(labels.contains(&("gen_ai_request_model", DEMO_MODEL)), "{labels:?}");
        assert!(
            labels.iter().any(|(name, _)| *name == "gen_ai_provider_name"),
            "{labels:?}"
        );
        let mut all = self.0.lock().unwrap();
        Arc::clone(all.entry(key.name().to_owned()).or_default())
    }

    fn counter(&self, name: &str) -> u64 {
        self.0.lock().unwrap()[name].load(Ordering::Relaxed)
    }

    fn has(&self, name: &str) -> bool {
        self.0.lock().unwrap().contains_key(name)
    }

    fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.counter(name))
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn the_engine_measures_its_work() {
    let kept = Kept::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = metrics::with_local_recorder(&kept, || runtime.block_on(Local::demo()));
    runtime.block_on(async {
        assert_eq!(kept.gauge("puna_engine_model_loaded"), 1.0);
        // A model is tried out when it is loaded.
        let before = (
            kept.counter("puna_engine_prompt_tokens_total"),
            kept.counter("puna_engine_generated_tokens_total"),
        );
        let answer = local.chat(&body("Hello!", json!({}))).await.unwrap();
        let usage = answer.usage.unwrap();
        assert_eq!(
            kept.counter("puna_engine_prompt_tokens_total") - before.0,
            usage.prompt_tokens
        );
        assert_eq!(
            kept.counter("puna_engine_generated_tokens_total") - before.1,
            usage.completion_tokens
        );
        let stop = local.chat(&long("Count.", 30)).await.unwrap().choices[0]
            .message
            .content
            .clone()
            .unwrap();
        let stop: String = stop.chars().skip(3).take(2).collect();
        let mut stopped = long("Count.", 30);
        stopped["stop"] = json!(stop);
        local.chat(&stopped).await.unwrap();
        assert_eq!(kept.counter("puna_engine_requests_cancelled_total"), 0);

        let mut running = local.open(&long("Count for ever.", CONTEXT)).await.unwrap();
        for _ in 0..3 {
            running.next().await.unwrap().unwrap();
        }
        let hello = body("Hello!", json!({}));
        let mut waiting = Box::pin(local.chat(&hello));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!(kept.gauge("puna_engine_requests_running"), 1.0);
        assert_eq!(kept.gauge("puna_engine_requests_waiting"), 1.0);
        // Two of each number in four layers 192 wide, of four bytes each, for as many tokens as there are.
        let per_token = 2.0 * 4.0 * 192.0 * 4.0;
        let tokens = kept.gauge("puna_engine_kv_cache_bytes") / per_token;
        assert!(tokens > 3.0 && tokens.fract() == 0.0, "{tokens}");
        drop(waiting);
        assert_eq!(kept.gauge("puna_engine_requests_waiting"), 0.0);
        assert_eq!(kept.counter("puna_engine_requests_cancelled_total"), 1);
        drop(running);
        local.chat(&hello).await.unwrap();
        assert_eq!(kept.counter("puna_engine_requests_cancelled_total"), 2);
        assert_eq!(kept.counter("puna_engine_requests_failed_total"), 0);
        // Nothing bounds the room on this device.
        assert!(!kept.has("puna_engine_kv_cache_usage_ratio"));
        drop(local);
    });
    drop(runtime);
    assert_eq!(kept.gauge("puna_engine_model_loaded"), 0.0);
    assert_eq!(kept.gauge("puna_engine_kv_cache_bytes"), 0.0);
}
