//! What the tokens of a data set say before a start: what fits, what is cut, what stops being learnt.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use data::{Flaw, Pair, PairId, Prompt, config::DataConfig};
use model::Tokens;
use text::{AnswerStart, Codec, Limits};
use train::{
    TrainError,
    dataset::{
        documents::{Dataset, PairDoc},
        inputs::Inputs,
    },
};

use crate::protocol::{Fates, Lengths, PairFinding, PreflightReport};

/// Bars of the histogram, about.
const BARS: usize = 32;

fn docs(dataset: &Dataset) -> impl Iterator<Item = &PairDoc> {
    dataset.pairs.train.iter().chain(&dataset.pairs.eval)
}

/// Fates, lengths and findings of the labelled pairs.
pub fn fill(
    report: &mut PreflightReport,
    data: &Inputs,
    dataset: &Dataset,
    codec: &Codec,
    config: &DataConfig,
) -> Result<(), TrainError> {
    let mut by_id: HashMap<PairId, Pair> = HashMap::new();
    data.pairs.each(&mut |pair| {
        by_id.insert(pair.id, pair.clone());
        ControlFlow::Continue(())
    })?;
    let set_aside: HashSet<PairId> = dataset.set_aside.iter().map(|(id, _)| *id).collect();
    let too_long = |id: &&PairId| {
        by_id
            .get(id)
            .is_some_and(|pair| codec.prompt_ids(&pair.prompt).is_ok_and(|ids| ids.len() > config.max_prompt_tokens))
    };
    let prompt_too_long = set_aside.iter().filter(too_long).count();
    let answer_cut = docs(dataset).filter(|pair| pair.cut > 0).count();
    report.fates = Fates {
        fit: docs(dataset).count() - answer_cut,
        answer_cut,
        prompt_too_long,
        unusable: set_aside.len() - prompt_too_long,
    };
    report.lengths = lengths(dataset, &by_id, codec, config);

    let limit = config.max_answer_tokens;
    let open = |ids: &Tokens| ids.last().is_none_or(|id| !codec.stop_ids().contains(id));
    let spells_special = |ids: &Tokens| {
        let inner = ids.len().saturating_sub(1);
        ids[..inner].iter().any(|id| codec.is_special(*id))
    };
    let folded = |pair: &PairDoc| {
        by_id.get(&pair.id).is_some_and(|pair| match &pair.prompt {
            Prompt::Chat(chat) => codec.fold(chat) != *chat,
            Prompt::Text(_) => false,
        })
    };
    let plain = |pair: &PairDoc| {
        let chat = by_id.get(&pair.id).is_some_and(|pair| matches!(pair.prompt, Prompt::Chat(_)));
        chat && !codec.has_template()
    };
    let mut find = |flaw, text: String, has: &dyn Fn(&PairDoc) -> bool| {
        let pairs: Vec<PairId> = docs(dataset).filter(|pair| has(pair)).map(|pair| pair.id).collect();
        if !pairs.is_empty() {
            report.findings.push(PairFinding { flaw, text, pairs });
        }
    };
    find(
        Flaw::DoubledBos,
        "BOS stands twice in a row: the chat template writes it and the prompt spells it out once more".to_owned(),
        &|pair| codec.doubles_bos(&pair.doc.prefix),
    );
    find(
        Flaw::Cut,
        format!("An answer loses its end at {limit} tokens; a larger data.max_answer_tokens keeps it whole"),
        &|pair| pair.cut > 0,
    );
    find(Flaw::NoEnd, "An answer does not end the turn, so on it stopping is not trained".to_owned(), &|pair| {
        pair.cut == 0 && pair.doc.continuations.iter().any(open)
    });
    find(Flaw::SpecialInside, "An answer's text spells out a special token".to_owned(), &|pair| {
        pair.doc.continuations.iter().any(spells_special)
    });
    for start in [AnswerStart::InsideToken, AnswerStart::Rewritten, AnswerStart::Unmatched] {
        if let Some((flaw, text)) = start.flaw() {
            find(flaw, text.to_owned(), &|pair| pair.start == start);
        }
    }
    find(
        Flaw::SystemFolded,
        "The chat template has no place for a system turn: its text stands in front of the first user turn".to_owned(),
        &folded,
    );
    find(
        Flaw::PlainStyle,
        "The model has no chat template: turns are written in plain style, “User: …” and “Assistant: …”".to_owned(),
        &plain,
    );
    Ok(())
}

/// Pairs that have no room even alone in a row.
pub fn too_large(report: &mut PreflightReport, pairs: Vec<PairId>) {
    if pairs.is_empty() {
        return;
    }
    report.findings.push(PairFinding {
        flaw: Flaw::TooLarge,
        text: "Too large for the memory that may be taken, even alone in its row: the run sets it aside".to_owned(),
        pairs,
    });
}

fn lengths(dataset: &Dataset, by_id: &HashMap<PairId, Pair>, codec: &Codec, config: &DataConfig) -> Lengths {
    let mut all: Vec<usize> = Vec::new();
    for pair in docs(dataset) {
        let whole = by_id.get(&pair.id).filter(|_| pair.cut > 0).and_then(|pair| {
            let (chosen, rejected) = pair.sides()?;
            codec.encode_answers(&pair.prompt, &[chosen, rejected], Limits::NONE).ok()
        });
        match whole {
            Some(whole) => all.extend(whole.answers.iter().map(|answer| answer.ids.len())),
            None => all.extend(pair.doc.continuations.iter().map(Tokens::len)),
        }
    }
    let longest = all.iter().copied().max().unwrap_or(0);
    let bin = (longest + 1).div_ceil(BARS).max(1);
    let mut answers = vec![0; longest / bin + 1];
    for length in all {
        answers[length / bin] += 1;
    }
    Lengths { answers, bin, longest, cut_at: config.max_answer_tokens }
}
