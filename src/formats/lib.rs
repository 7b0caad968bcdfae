//! Preference files in and out.
//!
//! A [`Reader`] gives the pairs of a file one by one, in bounded memory; every record that cannot be used is listed
//! with its place and the reason, the rest comes in. What records lie in (`containers`: JSON lines, a table, Parquet,
//! Arrow, packed or not) and what they say (`shapes`: TRL, Argilla, ..) are two questions, and each answer is a file.
//! Between them stands the record: `object` takes one apart, `fields` types, `columns` knows names. `draft` makes a
//! pair of what a shape has understood. [`write`] writes.

mod agreement;
mod columns;
mod containers;
mod dataset_info;
mod draft;
mod fields;
mod folder;
mod kept;
mod labels;
mod object;
mod options;
mod prompts;
mod reader;
mod report;
mod shapes;
mod texts;
pub mod write;

pub use agreement::Agreement;
pub use fields::FieldMap;
pub use folder::files;
pub use options::{Format, Options, Scores, Several, Ties};
pub use prompts::{PromptOrIds, is_plain_text, prompts_alone, prompts_of, read_line, read_prompts};
pub use reader::Reader;
pub use report::{FormatError, ImportProgress, ImportReport, LineOrRow, RecordFault};
pub use texts::{read_references, read_texts};
