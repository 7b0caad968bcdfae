//! What the columns of a table hold whose columns have types, as far as its records tell.

use serde_json::{Map, Value as Json};

/// Nested deeper than this, a value is written as JSON.
const DEEPEST: usize = 8;

/// What every value of a column is, or null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueKind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    /// Values of several kinds: texts as they are, the others as the text of their JSON.
    Json,
    List(Box<ValueKind>),
    /// All with the same fields. Messages may leave some out: one that is null is none.
    Struct(Vec<(String, ValueKind)>),
}

/// The columns of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds(pub Vec<(String, ValueKind)>);

impl Kinds {
    /// One more record that they are to hold.
    pub fn add(&mut self, record: &Map<String, Json>) {
        for (name, value) in record {
            let at = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                self.0.push((name.clone(), ValueKind::Null));
                self.0.len() - 1
            });
            let kind = &mut self.0[at].1;
            if !kind.take(value, 0) {
                *kind = ValueKind::Json;
            }
        }
    }
}

impl ValueKind {
    /// Becomes what holds this value too; false where nothing but JSON would, or the value would come back as another.
    fn take(&mut self, value: &Json, depth: usize) -> bool {
        if depth > DEEPEST {
            return false;
        }
        match (&mut *self, value) {
            (_, Json::Null) | (Self::Json, _) | (Self::Bool, Json::Bool(_)) | (Self::Text, Json::String(_)) => true,
            (Self::Null, value) => Self::of(value, depth).map(|kind| *self = kind).is_some(),
            (Self::Int, Json::Number(number)) if number.is_i64() => true,
            // A reward of 1 is one of 1.0, an argument of a tool may not be.
            (Self::Int, Json::Number(number)) if depth == 0 && number.is_f64() => {
                *self = Self::Float;
                true
            }
            (Self::Float, Json::Number(number)) => number.is_f64() || depth == 0 && number.is_i64(),
            (Self::List(item), Json::Array(items)) => items.iter().all(|value| item.take(value, depth + 1)),
            (Self::Struct(fields), Json::Object(values)) => {
                let is_role = |name: &str| name == "role";
                let may_lack = depth <= 1
                    && values.keys().any(|name| is_role(name))
                    && fields.iter().any(|(name, _)| is_role(name));
                let known = fields.len();
                let mut found = 0;
                for (name, value) in values {
                    match fields.iter_mut().find(|(known, _)| known == name) {
                        Some((_, kind)) => {
                            found += 1;
                            if !kind.take(value, depth + 1) {
                                return false;
                            }
                        }
                        None if may_lack => match Self::of(value, depth + 1) {
                            Some(kind) => fields.push((name.clone(), kind)),
                            None => return false,
                        },
                        None => return false,
                    }
                }
                may_lack || found == known
            }
            _ => false,
        }
    }

    fn of(value: &Json, depth: usize) -> Option<Self> {
        Some(match value {
            Json::Null => Self::Null,
            Json::Bool(_) => Self::Bool,
            Json::Number(number) if number.is_i64() => Self::Int,
            Json::Number(number) if number.is_f64() => Self::Float,
            Json::Number(_) => return None,
            Json::String(_) => Self::Text,
            Json::Array(items) => {
                let mut item = Self::Null;
                let all = items.iter().all(|value| item.take(value, depth + 1));
                all.then(|| Self::List(Box::new(item)))?
            }
            Json::Object(values) if values.is_empty() || depth >= DEEPEST => return None,
            Json::Object(values) => {
                let field = |(name, value): (&String, &Json)| Some((name.clone(), Self::of(value, depth + 1)?));
                Self::Struct(values.iter().map(field).collect::<Option<_>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kinds(records: &[Json]) -> Vec<ValueKind> {
        let mut kinds = Kinds::default();
        for record in records {
            kinds.add(record.as_object().unwrap());
        }
        kinds.0.into_iter().map(|(_, kind)| kind).collect()
    }

    #[test]
    fn a_column_is_what_all_its_values_are() {
        let field = |name: &str, kind| (name.to_owned(), kind);
        let message = |fields| ValueKind::List(Box::new(ValueKind::Struct(fields)));
        let called =
            json!([{"role": "assistant", "content": "a", "calls": [{"n": 1}]}, {"role": "user", "content": "b"}]);
        for (values, kind) in [
            (vec![json!("a"), json!(null)], ValueKind::Text),
            (vec![json!(1), json!(0.5)], ValueKind::Float),
            (vec![json!(1), json!(u64::MAX)], ValueKind::Json),
            (vec![json!([]), json!(["x"])], ValueKind::List(Box::new(ValueKind::Text))),
            (vec![json!({}), json!({"a": 1})], ValueKind::Json),
            (vec![json!({"a": 1}), json!({"b": 1})], ValueKind::Json),
            (vec![json!([{"a": 1}]), json!([{"a": 1.5}])], ValueKind::Json),
            (vec![json!("a"), json!(["a"])], ValueKind::Json),
            (
                vec![called],
                message(vec![
                    field("role", ValueKind::Text),
                    field("content", ValueKind::Text),
                    field("calls", ValueKind::List(Box::new(ValueKind::Struct(vec![field("n", ValueKind::Int)])))),
                ]),
            ),
        ] {
            let records: Vec<Json> = values.iter().map(|value| json!({"column": value})).collect();
            assert_eq!(kinds(&records), [kind], "{values:?}");
        }
    }
}
