//! What the tokenizer library makes of settings that it does not expect: some make it panic, some make a text grow
//! without end. Here both become a sentence.

use serde_json::Value as Json;
use tokenizers::Tokenizer;

/// How much longer a text may become by being written the tokenizer's way, at most. Three bytes for a space is usual.
const GROWTH: f64 = 1000.0;

/// Runs a call into the library; a panic in it is an error.
pub(super) fn contained<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    ::files::contained(call).unwrap_or_else(|panic| Err(format!("its settings break its reader ({panic})")))
}

/// Reads a `tokenizer.json`. Truncation and padding are switched off.
pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, String> {
    contained(|| {
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| error.to_string())?;
        tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
        tokenizer.with_padding(None);
        let parts = [serde_json::to_value(tokenizer.get_normalizer()), serde_json::to_value(tokenizer.get_decoder())];
        for part in parts {
            let factor = growth(&part.map_err(|error| error.to_string())?);
            if factor > GROWTH {
                return Err(format!(
                    "its replacements can make a text {factor:.0} times as long; at most {GROWTH} times is expected"
                ));
            }
        }
        Ok(tokenizer)
    })
}

/// How much longer the replacements in a part of a tokenizer, one after the other, make a text at most.
fn growth(part: &Json) -> f64 {
    match part {
        Json::Array(parts) => parts.iter().map(growth).product(),
        Json::Object(part) => {
            let of_parts: f64 = part.values().map(growth).product();
            let content = part.get("content").and_then(Json::as_str);
            match (part.get("pattern"), content) {
                (Some(pattern), Some(content)) => {
                    // An expression may match next to nothing.
                    let matched = pattern["String"].as_str().map_or(1, |text| text.len().max(1));
                    of_parts * (content.len() as f64 / matched as f64).max(1.0)
                }
                _ => of_parts,
            }
        }
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_next_call_goes_on() {
        let error = contained::<()>(|| panic!("out of {}", "range")).unwrap_err();
        assert!(error.contains("out of range"), "{error}");
        assert_eq!(contained(|| Ok(3)), Ok(3));
    }

    #[test]
    fn growth_is_that_of_all_replacements_together() {
        let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
        assert_eq!(growth(&Json::Null), 1.0);
        assert_eq!(growth(&replace(" ", "▁")), 3.0);
        assert_eq!(growth(&replace("▁", " ")), 1.0);
        let twice = json!({"type": "Sequence", "normalizers": [replace("a", "aaaa"), replace("a", "aaaa")]});
        assert_eq!(growth(&twice), 16.0);
    }
}
