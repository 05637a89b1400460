use std::fs;

use serde_json::json;

use super::*;

fn write(folder: &tempfile::TempDir, name: &str, value: &Value) {
    fs::write(folder.path().join(name), value.to_string()).unwrap();
}

/// A folder with these files, and one that is changed at a place, such as `/size/height`.
fn changed(files: &[(&str, Value)], name: &str, place: &str, value: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, content) in files {
        let mut content = content.clone();
        if *file == name {
            let (parent, field) = place.rsplit_once('/').unwrap();
            content.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        write(&folder, file, &content);
    }
    folder
}

fn read(folder: &tempfile::TempDir) -> Result<Option<Vision>> {
    let config = read_json(&folder.path().join("config.json")).unwrap().unwrap();
    find(folder.path(), &config)
}

fn refusal(files: &[(&str, Value)], name: &str, place: &str, value: &Value) -> String {
    let error = read(&changed(files, name, place, value)).unwrap_err();
    assert_eq!(error.kind(), puna_api::ErrorKind::Configuration);
    assert!(error.message().contains(&format!("{name} is damaged")), "{error}");
    error.message().to_owned()
}

fn gemma3() -> Vec<(&'static str, Value)> {
    vec![
        (
            "config.json",
            json!({"architectures": ["Gemma3ForConditionalGeneration"], "vision_config": {}}),
        ),
        (
            "preprocessor_config.json",
            json!({
                "do_rescale": true, "rescale_factor": 0.004, "do_normalize": true, "do_resize": true, "resample": 3,
                "size": {"height": 28, "width": 14},
            }),
        ),
        ("processor_config.json", json!({"image_seq_length": 16})),
    ]
}

/// What the smallest published model of the kind says.
fn qwen3_vl() -> Vec<(&'static str, Value)> {
    let marks = [
        ("<|vision_start|>", 151_652),
        ("<|vision_end|>", 151_653),
        ("<|image_pad|>", 151_655),
        ("<|video_pad|>", 151_656),
    ];
    vec![
        (
            "config.json",
            json!({
                "architectures": ["Qwen3VLForConditionalGeneration"],
                "image_token_id": 151_655, "video_token_id": 151_656, "vision_start_token_id": 151_652,
                "vision_end_token_id": 151_653,
                "text_config": {
                    "attention_bias": false,
                    "rope_scaling": {"mrope_interleaved": true, "mrope_section": [24, 20, 20], "rope_type": "default"},
                },
                "vision_config": {
                    "hidden_size": 1024, "num_heads": 16, "num_position_embeddings": 2304, "patch_size": 16,
                    "spatial_merge_size": 2, "temporal_patch_size": 2,
                },
            }),
        ),
        (
            "preprocessor_config.json",
            json!({
                "size": {"longest_edge": 16_777_216, "shortest_edge": 65_536}, "patch_size": 16,
                "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
            }),
        ),
        (
            "tokenizer.json",
            json!({"added_tokens": marks.map(|(content, id)| json!({"content": content, "id": id}))}),
        ),
    ]
}

#[test]
fn a_model_that_looks_at_nothing_is_none_of_these() {
    let folder = tempfile::tempdir().unwrap();
    for config in [
        json!({"architectures": ["LlamaForCausalLM"]}),
        json!({"architectures": ["Gemma3ForConditionalGeneration"]}),
        json!({"architectures": ["UnknownForConditionalGeneration"], "vision_config": {}}),
        json!({}),
    ] {
        assert_eq!(find(folder.path(), &config).unwrap(), None, "{config}");
    }
}

#[test]
fn kinds_that_the_engine_gets_wrong_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for kind in WRONG {
        let config = json!({"architectures": [kind], "vision_config": {}});
        let error = find(folder.path(), &config).unwrap_err();
        assert_eq!(error.kind(), puna_api::ErrorKind::Configuration);
        assert!(error.message().contains(kind), "{error}");
    }
}

#[test]
fn gemma3_tells_how_it_looks_at_images() {
    let folder = changed(&gemma3(), "", "", &Value::Null);
    let size = ImageSize {
        width: 14,
        height: 28,
        filter: FilterType::CatmullRom,
    };
    let view = View::Alike {
        tokens: 22,
        size: Some(size),
    };
    assert_eq!(read(&folder).unwrap().unwrap().view, view);
    fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
    let error = read(&folder).unwrap_err();
    assert!(error.message().contains("has no preprocessor_config.json"), "{error}");
}

#[test]
fn what_gemma3_lacks_is_told() {
    let file = "preprocessor_config.json";
    for (file, place, value, message) in [
        (file, "/do_pan_and_scan", json!(true), "`do_pan_and_scan`"),
        (
            file,
            "/do_resize",
            json!(null),
            "`do_resize` must be true or false, not null",
        ),
        (
            file,
            "/rescale_factor",
            json!("x"),
            "`rescale_factor` must be a number, not \"x\"",
        ),
        (
            file,
            "/size/height",
            json!(null),
            "`size.height` must be a number of pixels, not null",
        ),
        (
            file,
            "/size/width",
            json!(0),
            "`size.width` must be a number of pixels, not 0",
        ),
        (file, "/resample", json!(9), "`resample` must be from 0 to 4, not 9"),
        (
            "processor_config.json",
            "/chat_template",
            json!("x"),
            "chat_template.jinja",
        ),
    ] {
        let said = refusal(&gemma3(), file, place, &value);
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn qwen3_vl_tells_how_it_looks_at_images() {
    let published = Patches {
        side: 32,
        min_pixels: 65_536,
        max_pixels: 16_777_216,
        filter: FilterType::CatmullRom,
    };
    let folder = changed(&qwen3_vl(), "", "", &Value::Null);
    let vision = read(&folder).unwrap().unwrap();
    assert_eq!(vision.view, View::Patches(published));
    assert!(vision.reserved.iter().any(|mark| vision.mark.contains(mark)));

    // Older names of the same bounds come first, and newer files hold what is about images in another one.
    let mut files = qwen3_vl();
    files[1].1["min_pixels"] = json!(1024);
    files[1].1["resample"] = json!(2);
    files[1] = ("processor_config.json", json!({"image_processor": files[1].1}));
    let folder = changed(&files, "", "", &Value::Null);
    let other = Patches {
        min_pixels: 1024,
        filter: FilterType::Triangle,
        ..published
    };
    assert_eq!(read(&folder).unwrap().unwrap().view, View::Patches(other));
}

#[test]
fn what_qwen3_vl_lacks_is_told() {
    let (config, images, tokens) = ("config.json", "preprocessor_config.json", "tokenizer.json");
    for (file, place, value, message) in [
        (
            config,
            "/text_config/rope_scaling/mrope_section",
            json!([24, 20]),
            "`text_config.rope_scaling.mrope_section` must be three numbers, not [24,20]",
        ),
        (
            config,
            "/text_config/rope_scaling/rope_type",
            json!("yarn"),
            "`text_config.rope_scaling.rope_type` must be \"default\", not \"yarn\"",
        ),
        (
            config,
            "/text_config/attention_bias",
            json!(true),
            "`text_config.attention_bias` must be false",
        ),
        (
            config,
            "/vision_config/num_heads",
            json!(0),
            "`vision_config.num_heads` must be a number above 0, not 0",
        ),
        (
            config,
            "/vision_config/num_heads",
            json!(7),
            "`vision_config.hidden_size`",
        ),
        (
            config,
            "/vision_config/num_position_embeddings",
            json!(2305),
            "must be the square of a number, not 2305",
        ),
        (
            config,
            "/vision_config/patch_size",
            json!(null),
            "`vision_config.patch_size` must be a number above 0, not null",
        ),
        (
            images,
            "/do_resize",
            json!(false),
            "`do_resize` must be true, not false",
        ),
        (
            images,
            "/rescale_factor",
            json!(0.5),
            "`rescale_factor` must be 1/255, not 0.5",
        ),
        (
            images,
            "/image_mean",
            json!([0.5]),
            "`image_mean` must be three numbers, not [0.5]",
        ),
        (
            images,
            "/patch_size",
            json!(14),
            "`patch_size` must be 16, as `vision_config.patch_size` in config.json, not 14",
        ),
        (images, "/merge_size", json!(null), "`merge_size` must be 2"),
        (
            images,
            "/temporal_patch_size",
            json!(4),
            "`temporal_patch_size` must be 2",
        ),
        (
            images,
            "/size/shortest_edge",
            json!(0),
            "`size.shortest_edge` must be a number above 0, not 0",
        ),
        (
            images,
            "/max_pixels",
            json!("x"),
            "`max_pixels` must be a number above 0, not \"x\"",
        ),
        (
            images,
            "/max_pixels",
            json!(65_536),
            "must be four times the fewest, 65536",
        ),
        (images, "/resample", json!(9), "`resample` must be from 0 to 4, not 9"),
        (
            tokens,
            "/added_tokens",
            json!([]),
            "must have `<|vision_start|>` as 151652, which is `vision_start_token_id` in config.json",
        ),
    ] {
        let said = refusal(&qwen3_vl(), file, place, &value);
        assert!(said.contains(message), "{said}");
    }
}
