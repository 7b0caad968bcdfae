//! What Ollama wants beside a GGUF file: its own way to write conversations, and where answers end.
//!
//! Ollama does not run a model's chat template; it has templates of its own, in Go's language, which are chosen by
//! looking at that of the model where it knows it. So one is made: the chat template is asked for conversations of
//! marked texts, and what stands between them is what the other template writes. It is kept only if it writes longer
//! conversations alike.

use std::fmt::Write as _;

use data::{Role, Turn};
use text::Codec;

const SYSTEM: &str = "qzSYSTEMzq";
const USER: &str = "qzUSERzq";
const ANSWER: &str = "qzANSWERzq";

/// The file for the model `gguf` in the same folder.
pub(super) fn modelfile(codec: &Codec, gguf: &str) -> String {
    let mut text = format!("# ollama create NAME -f Modelfile\nFROM ./{gguf}\n");
    match Markers::of(codec) {
        Some(markers) => {
            writeln!(text, "TEMPLATE \"\"\"{}\"\"\"", markers.in_go()).ok();
        }
        None if codec.has_template() => text.push_str(
            "# The model's chat template has no counterpart in Ollama's language that writes the same; Ollama chooses one itself.\n",
        ),
        None => {}
    }
    for id in codec.stop_ids() {
        let token = codec.token(*id);
        if !token.is_empty() && !token.contains('"') {
            writeln!(text, "PARAMETER stop \"{token}\"").ok();
        }
    }
    text
}

/// What a chat template writes around the texts of a conversation.
struct Markers {
    /// Before the system text, which comes first.
    system: String,
    /// Before a user's text: at the very start, after the system's, and after an answer.
    first: String,
    after_system: String,
    after_answer: String,
    /// From a user's text to the answer.
    answer: String,
}

impl Markers {
    fn of(codec: &Codec) -> Option<Self> {
        let render = |turns: &[(Role, &str)]| {
            let turns: Vec<Turn> = turns.iter().map(|(role, text)| Turn::new(*role, *text)).collect();
            let turns = codec.fold(&turns.into());
            let text = codec.render_chat(&turns, true).ok()?;
            // Ollama writes it itself.
            let bos =
                codec.bos().map(|id| codec.token(id)).filter(|_| codec.encode_text("").first() == codec.bos().as_ref());
            Some(bos.and_then(|bos| text.strip_prefix(&bos)).unwrap_or(&text).to_owned())
        };
        let user = (Role::User, USER);
        let alone = render(&[user])?;
        let (first, answer) = alone.split_once(USER)?;
        let with_system = render(&[(Role::System, SYSTEM), user])?;
        let (system, rest) = with_system.split_once(SYSTEM)?;
        let (after_system, _) = rest.split_once(USER)?;
        let again = render(&[user, (Role::Assistant, ANSWER), (Role::User, SYSTEM)])?;
        let (_, rest) = again.split_once(ANSWER)?;
        let (after_answer, _) = rest.split_once(SYSTEM)?;
        let markers = Self {
            system: system.to_owned(),
            first: first.to_owned(),
            after_system: after_system.to_owned(),
            after_answer: after_answer.to_owned(),
            answer: answer.to_owned(),
        };
        let long = [
            (Role::System, "Be brief."),
            (Role::User, "One?"),
            (Role::Assistant, "Yes."),
            (Role::User, "Two?\nAnd three?"),
            (Role::Assistant, "No"),
            (Role::User, "Why {{not}}?"),
        ];
        let same = [&long[..], &long[1..], &long[..2], &long[1..4]]
            .into_iter()
            .all(|turns| render(turns).is_some_and(|text| text == markers.written(turns)));
        (same && !markers.in_go().contains("\"\"\"")).then_some(markers)
    }

    fn written(&self, turns: &[(Role, &str)]) -> String {
        let mut text = String::new();
        let mut before = None;
        for (role, content) in turns {
            match (role, before) {
                (Role::System, _) => text += &self.system,
                (Role::User, None) => text += &self.first,
                (Role::User, Some(Role::System)) => text += &self.after_system,
                (Role::User, _) => text += &self.after_answer,
                _ => {}
            }
            text += content;
            if *role == Role::User {
                text += &self.answer;
            }
            before = Some(*role);
        }
        text
    }

    /// The same in the language of Ollama's templates.
    fn in_go(&self) -> String {
        let [system, first, after_system, after_answer, answer] =
            [&self.system, &self.first, &self.after_system, &self.after_answer, &self.answer]
                .map(|text| text.replace("{{", "{{ \"{{\" }}"));
        format!(
            "{{{{ $before := \"\" }}}}{{{{ range .Messages }}}}\
             {{{{ if eq .Role \"system\" }}}}{system}{{{{ .Content }}}}\
             {{{{ else if eq .Role \"user\" }}}}\
             {{{{ if eq $before \"system\" }}}}{after_system}{{{{ else if eq $before \"\" }}}}{first}\
             {{{{ else }}}}{after_answer}{{{{ end }}}}{{{{ .Content }}}}{answer}\
             {{{{ else }}}}{{{{ .Content }}}}{{{{ end }}}}{{{{ $before = .Role }}}}{{{{ end }}}}"
        )
    }
}
