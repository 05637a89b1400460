use image::{Rgb, RgbImage};
use puna_testkit::TestHost;

use super::*;
use crate::checkpoint::{ImageSize, View};

fn picture(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        Rgb([x as u8, y as u8, (x * y) as u8])
    }))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn url(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
}

/// A PNG of one pixel whose header says that it has many.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(&picture(1, 1), ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    png
}

/// The checksum of a part of a PNG.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 }
        })
    })
}

#[test]
fn pixels_come_of_every_format() {
    let image = picture(5, 3);
    for (media_type, format) in FORMATS {
        let bytes = encoded(&image, format);
        let decoded = decode(media_type, &bytes).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (5, 3), "{media_type}");
        // These two lose nothing.
        if matches!(format, ImageFormat::Png | ImageFormat::WebP) {
            assert_eq!(decoded, image, "{media_type}");
        }
    }
    decode("image/JPG", &encoded(&image, ImageFormat::Jpeg)).unwrap();
}

#[test]
fn what_is_wrong_with_an_image_is_told() {
    let png = encoded(&picture(5, 3), ImageFormat::Png);
    let cases = [
        (url("image/png", &png[..40]), "the image is broken: "),
        (
            url("image/png", b"hello"),
            "the image is said to be `image/png`, but its bytes are something else",
        ),
        (
            url("image/jpeg", &png),
            "the image is said to be `image/jpeg`, but its bytes are image/png",
        ),
        (
            url("image/tiff", &png),
            "the image is of the type `image/tiff`; it must be one of image/png, image/jpeg, image/gif, image/webp",
        ),
        (
            url("image/png", &bomb(60_000, 60_000)),
            "the image has 60000 by 60000 pixels; at most 33554432 are possible, and 16384 on a side",
        ),
        (
            url("image/png", &bomb(16_000, 16_000)),
            "the image has 16000 by 16000 pixels",
        ),
        (url("image/png", &bomb(16_385, 1)), "the image has 16385 by 1 pixels"),
        ("data:image/png;base64,#".to_owned(), "the image is not valid base64: "),
        (
            format!("data:image/png;base64,{}", "A".repeat((MAX_BYTES / 3 + 2) * 4)),
            "the image is larger than 20971520 bytes",
        ),
        ("data:image/png,abc".to_owned(), "the image's URL must begin with "),
        ("data:image/png".to_owned(), "the image's URL must begin with "),
        ("file:///etc/passwd".to_owned(), "the image's URL must begin with "),
        ("ünïcode".to_owned(), "the image's URL must begin with "),
    ];
    for (url, message) in cases {
        let error = Source::DataUrl(url).decode().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.message().starts_with(message), "{}", error.message());
    }
}

#[tokio::test]
async fn images_come_in_their_order_and_in_the_models_size() {
    let host = TestHost::new().unwrap();
    let images = Images::new(NetworkConfig::default(), &host.host());
    let named = |place: usize, url: String| NamedImage {
        place: format!("messages[{place}].content[0].image_url"),
        url,
    };
    let vision = Vision {
        mark: "<image>",
        reserved: &["<image>"],
        view: View::Alike {
            tokens: 1,
            size: Some(ImageSize {
                width: 4,
                height: 2,
                filter: image::imageops::FilterType::Triangle,
            }),
        },
    };
    let (red, blue) = ([255, 0, 0], [0, 0, 255]);
    let of = |colour| {
        let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(9, 9, Rgb(colour)));
        url("image/png", &encoded(&image, ImageFormat::Png))
    };
    let got = images
        .get(vec![named(0, of(red)), named(1, of(blue))], &vision, None)
        .await
        .unwrap();
    let expected = [red, blue].map(|colour| DynamicImage::ImageRgb8(RgbImage::from_pixel(4, 2, Rgb(colour))));
    assert_eq!(got, expected);

    let error = images
        .get(vec![named(0, of(red)), named(1, "x".to_owned())], &vision, None)
        .await
        .unwrap_err();
    assert_eq!(error.param(), Some("messages[1].content[0].image_url"));
    let many = (0..=MAX_IMAGES).map(|place| named(place, of(red))).collect();
    let error = images.get(many, &vision, None).await.unwrap_err();
    assert_eq!(error.message(), "there are 17 images; 16 are possible");
    assert_eq!(error.param(), Some("messages"));
}
