//! Enums of strings that keep the values they do not know.

/// Declares an enum of strings with an `Other` variant, so that a value that a vendor added does not make a body unreadable.
///
/// The names on the wire are given per variant. Reading never yields `Other` for a named value; neither does `From<String>`.
macro_rules! open_enum {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A value that has no variant here, kept as it came. Make it with `From`, which finds the named ones.
            Other(String),
        }

        impl $name {
            /// The value on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(other) => other,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $($text => Self::$variant,)+
                    _ => Self::Other(text),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("a string such as ")?;
                        formatter.write_str(&[$(concat!("`", $text, "`")),+].join(", "))
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        Ok($name::from(text))
                    }

                    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<$name, E> {
                        Ok($name::from(text))
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "description": (concat!($($doc, "\n"),+).trim()),
                    "anyOf": [{ "type": "string", "enum": [$($text),+] }, { "type": "string" }],
                })
            }
        }
    };
}

pub(super) use open_enum;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public enums")]
mod tests {
    use serde_json::json;

    use super::super::round_trip::fault;

    open_enum! {
        /// A colour.
        Colour {
            /// Red.
            Red = "red",
            /// Dark blue.
            DarkBlue = "dark-blue",
        }
    }

    #[test]
    fn known_values_have_names_and_others_are_kept() {
        let cases = [
            ("red", Colour::Red),
            ("dark-blue", Colour::DarkBlue),
            ("Red", Colour::Other("Red".to_owned())),
            ("", Colour::Other(String::new())),
        ];
        for (text, colour) in cases {
            assert_eq!(serde_json::from_value::<Colour>(json!(text)).unwrap(), colour);
            assert_eq!(
                serde_json::from_str::<Colour>(&json!(text).to_string()).unwrap(),
                colour
            );
            assert_eq!(serde_json::to_value(&colour).unwrap(), json!(text));
            assert_eq!(Colour::from(text), colour);
            assert_eq!(colour.to_string(), text);
        }
    }

    #[test]
    fn another_type_is_a_fault_that_shows_values() {
        let fault = fault::<Colour>(&json!(3));
        assert!(
            fault.message.contains("expected a string such as `red`, `dark-blue`"),
            "{}",
            fault.message
        );
    }

    #[test]
    fn the_schema_names_the_values_and_allows_others() {
        let schema = schemars::schema_for!(Colour);
        assert_eq!(schema.get("description").unwrap(), "A colour.");
        let variants = json!([{ "type": "string", "enum": ["red", "dark-blue"] }, { "type": "string" }]);
        assert_eq!(schema.get("anyOf").unwrap(), &variants);
    }
}
