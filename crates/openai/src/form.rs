//! A form with a file in it (`multipart/form-data`, RFC 7578), whose length is known before its first byte is there.

use bytes::Bytes;
use futures::{StreamExt, stream};
use puna_api::{BoxStream, Result};
use uuid::Uuid;

/// A form whose last part is a file.
pub(crate) struct Form {
    boundary: String,
    head: String,
}

impl Form {
    pub(crate) fn new() -> Self {
        // Nobody can make a file that has it inside.
        Self::with_boundary(format!("puna-{}", Uuid::new_v4().simple()))
    }

    fn with_boundary(boundary: String) -> Self {
        Self {
            boundary,
            head: String::new(),
        }
    }

    /// What `content-type` says.
    pub(crate) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// Adds a field.
    pub(crate) fn field(&mut self, name: &str, value: &str) {
        let Self { boundary, head } = self;
        head.push_str(&format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }

    /// Ends the form with a file of so many bytes. Answers the form's length, and its bytes as they come.
    pub(crate) fn file(
        self,
        name: &str,
        filename: &str,
        size: u64,
        content: BoxStream<Result<Bytes>>,
    ) -> (u64, BoxStream<Result<Bytes>>) {
        let Self { boundary, mut head } = self;
        let media_type = mime_guess::from_path(filename).first_or_octet_stream();
        head.push_str(&format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{}\"\r\ncontent-type: {media_type}\r\n\r\n",
            quoted(filename)
        ));
        let end = format!("\r\n--{boundary}--\r\n");
        let length = (head.len() + end.len()) as u64 + size;
        let whole = stream::iter([Ok(Bytes::from(head))])
            .chain(content)
            .chain(stream::iter([Ok(Bytes::from(end))]));
        (length, whole.boxed())
    }
}

/// A name between quotes, as browsers and the clients of OpenAI write it (HTML's `multipart/form-data` encoding).
pub(crate) fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_form_is_as_long_as_it_says() {
        let mut form = Form::with_boundary("b".to_owned());
        assert_eq!(form.content_type(), "multipart/form-data; boundary=b");
        form.field("purpose", "user_data");
        let content = stream::iter(["hel", "lo"].map(|piece| Ok(Bytes::from(piece)))).boxed();
        let (length, whole) = form.file("file", "a \"b\"\r\n.pdf", 5, content);
        let whole = whole.try_collect::<Vec<_>>().await.unwrap().concat();
        assert_eq!(whole.len() as u64, length);
        let expected = "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n\
            --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a %22b%22%0D%0A.pdf\"\r\ncontent-type: application/pdf\r\n\r\n\
            hello\r\n--b--\r\n";
        assert_eq!(String::from_utf8(whole).unwrap(), expected);
    }

    #[test]
    fn boundaries_differ() {
        assert_ne!(Form::new().content_type(), Form::new().content_type());
    }
}
