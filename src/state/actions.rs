//! The table of what a person can do with a key: keys, the sheet behind `?` and the command palette are read from it.
//!
//! A new one takes a line in `table` and its arm in `ui::perform`.

mod table;
mod when;

pub use table::TABLE;
pub use when::Possible;

use engine::protocol::CurveFile;

pub use super::scope::Scope;
use super::{
    Screen, ThemeChoice, Views, Workspace,
    asking::AskFirst,
    compare::{Zoom, parallel::AxisMove},
    duel::DuelPress,
    fork::AlarmAct,
    labelling::{Act, ScrollBy, Side},
    lens::LensMove,
    pairs_mode::PairsMode,
    references::ReferenceAct,
    review::ReviewAct,
    rollouts::RolloutMove,
    scores::Fate,
    simple::Preset,
};

/// Something a person can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Palette,
    Help,
    Go(Screen),
    NewProject,
    OpenProject,
    OpenDemo,
    Theme(ThemeChoice),
    DismissNotices,
    /// Of the place one is at, as [`Action::PutHintAway`].
    FollowHint,
    PutHintAway,
    Label,
    Relabel,
    AskFirst(AskFirst),
    NewPair,
    DeletePair,
    EditPair,
    Import,
    Export,
    Sample,
    Undo,
    Redo,
    KeepAll,
    Search,
    Move(ScrollBy),
    /// Choose several rows.
    Extend(ScrollBy),
    ChooseAll,
    Flip,
    Tag,
    MoreFilters,
    References,
    WriteReferences,
    /// While reference answers and retention text are shown.
    Reference(ReferenceAct),
    Difference,
    Tokens,
    /// What tokens are coloured by.
    Tint,
    /// To later weights of the run, or earlier ones.
    Scrub(bool),
    WhiteSpace,
    /// What a model thinks of the pairs.
    Scores,
    ScorePairs,
    Fate(Option<Fate>),
    /// In a labelling session.
    Labelling(Act),
    NextPair,
    Suspects,
    /// While suspect labels are gone through.
    Review(ReviewAct),
    CompareReport,
    /// The run of the Train screen in one file.
    BundleRun,
    OpenBundle,
    /// Which charts Compare has, in which order.
    ChooseCharts,
    /// One more side by side, or one fewer.
    Columns(bool),
    /// Linear, log, symmetric log.
    TurnScale,
    ClipOutliers,
    /// How charts are drawn, where it is folded.
    ChartControls,
    /// What the charts have across.
    ChartsAcross,
    /// Along what the charts have across.
    Zoom(Zoom),
    /// On parallel axes.
    Axis(AxisMove),
    /// Read charts or answers at a later step, or an earlier one.
    ChartCursor(bool),
    /// The charts, or the table of runs.
    CompareFace,
    FilterRuns,
    /// Pairs that fought back in the ticked runs.
    ShowFought,
    /// Of names and marks of runs.
    AboutUndo,
    AboutRedo,
    ExportCurves(CurveFile),
    /// What the frontier has across.
    FrontierAcross,
    /// From the pair that is open to the steps that met it.
    ShowSteps,
    SetUp,
    Watch,
    Lens(LensMove),
    /// About the first alarm of the run that is shown.
    Alarm(AlarmAct),
    Rollout(RolloutMove),
    OpenLensPair,
    Check,
    Start,
    Preset(Preset),
    CompareMethods,
    /// The reward model that the method of the sheet lacks.
    FitReward,
    /// The settings of one, on the sheet.
    EarlierSettings,
    /// More of them on the sheet, or fewer.
    AllSettings,
    Fork,
    Again,
    LeaveFork,
    Pause,
    Checkpoint,
    TakeIn,
    /// Which labels the checkpoints of the shown run have seen.
    SeenLabels,
    Stop,
    /// Go on with the shown run.
    Resume,
    /// Give the shown run more steps.
    Lengthen,
    /// The shown run goes sooner, or later.
    InQueue(bool),
    /// The shown run does not wait any more.
    LeaveQueue,
    ExportRun,
    Probes,
    Judged,
    EditRules,
    SaveRules,
    AskBox,
    Ask,
    /// Go on with what was said, or ask once.
    Talk,
    BeginAnew,
    /// The answers of the runs that Compare shows, beside each other.
    ProbesBeside,
    /// Without the answers that seeds have drawn.
    GreedyAlone,
    StopAnswers,
    Prefer(Side),
    Duel,
    /// In a blind duel.
    DuelPress(DuelPress),
    DuelUndo,
    AddModel,
    Download,
    LookAgain,
    MoveModel(ScrollBy),
}

impl Action {
    /// Moves something on the screen: of use only as a key, and it goes on as long as the key is held.
    pub fn is_movement(self) -> bool {
        match self {
            Self::Lens(to) => !matches!(to, LensMove::Toggle | LensMove::Close | LensMove::NextEffect | LensMove::Turn),
            Self::Rollout(to) => to != RolloutMove::Toggle,
            Self::Axis(to) => !matches!(to, AxisMove::PassAll | AxisMove::Leave),
            other => {
                matches!(
                    other,
                    Self::Move(_)
                        | Self::Extend(_)
                        | Self::MoveModel(_)
                        | Self::Labelling(Act::Scroll(..))
                        | Self::ChartCursor(_)
                        | Self::Reference(ReferenceAct::Move(_))
                        | Self::Zoom(Zoom::In | Zoom::Out | Zoom::Earlier | Zoom::Later)
                )
            }
        }
    }

    /// What comes next is in another place, or about something else: letters that follow at once are none of its keys.
    pub fn leads_elsewhere(self) -> bool {
        matches!(
            self,
            Self::Label
                | Self::Relabel
                | Self::Suspects
                | Self::References
                | Self::Reference(ReferenceAct::Leave)
                | Self::ShowSteps
                | Self::Fork
                | Self::Again
                | Self::Go(_)
        )
    }

    /// It takes long or goes on out of sight: where it cannot be done, its key says why.
    pub fn says_why_not(self) -> bool {
        matches!(self, Self::NextPair | Self::ScorePairs | Self::TakeIn)
    }

    /// Its keys act while a text is edited, too.
    pub fn acts_while_typing(self) -> bool {
        match self {
            Self::Palette | Self::Go(_) | Self::NewProject | Self::OpenProject => true,
            Self::Labelling(act) => matches!(act, Act::EndEditing | Act::Leave),
            other => {
                matches!(other, Self::Start | Self::Check | Self::Ask | Self::StopAnswers | Self::SaveRules)
            }
        }
    }
}

impl Scope {
    /// Where one is.
    pub fn of(views: &Views) -> Self {
        match views.screen {
            Screen::Pairs => match views.pairs.mode() {
                PairsMode::Labelling => Self::Labelling,
                PairsMode::Reviewing => Self::Reviewing,
                PairsMode::References => Self::References,
                PairsMode::Table => Self::On(Screen::Pairs),
            },
            screen => Self::On(screen),
        }
    }
}

/// A line of the table.
#[derive(Clone, Copy)]
pub struct ActionLine {
    pub action: Action,
    pub name: &'static str,
    /// Each as "Ctrl+Shift+Z", with the names that egui has for keys. Ctrl is Cmd on a Mac.
    pub keys: &'static [&'static str],
    pub place: Scope,
    pub when: fn(&Workspace, &mut Views) -> Possible,
    pub help: &'static str,
}

/// The line of an action.
pub fn entry(action: Action) -> Option<&'static ActionLine> {
    TABLE.iter().find(|entry| entry.action == action)
}

/// The first key of an action as it is written beside its name: "Ctrl K". Empty where it has none.
pub fn key_of(action: Action) -> String {
    entry(action).and_then(|entry| entry.keys.first()).map(|keys| spelled(keys)).unwrap_or_default()
}

/// "Ctrl+Shift+Up" as people read it: "Ctrl Shift ↑".
pub fn spelled(keys: &str) -> String {
    let words: Vec<&str> = keys
        .split('+')
        .map(|word| match word {
            "Ctrl" if cfg!(target_os = "macos") => "Cmd",
            "Up" => "↑",
            "Down" => "↓",
            "Left" => "←",
            "Right" => "→",
            "PageUp" => "PgUp",
            "PageDown" => "PgDn",
            "Escape" => "Esc",
            "Delete" => "Del",
            word => word,
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for (index, one) in TABLE.iter().enumerate() {
            for other in &TABLE[index + 1..] {
                let shared = one.keys.iter().find(|keys| other.keys.contains(keys));
                assert!(
                    shared.is_none() || !one.place.overlaps(other.place),
                    "{shared:?} is both “{}” and “{}”",
                    one.name,
                    other.name
                );
            }
        }
    }

    #[test]
    fn every_action_has_one_line_and_every_line_says_what_it_does() {
        for (index, one) in TABLE.iter().enumerate() {
            assert!(TABLE[index + 1..].iter().all(|other| other.action != one.action), "{:?} twice", one.action);
            assert!(!one.name.is_empty() && !one.help.is_empty(), "{:?}", one.action);
        }
        for screen in Screen::ALL {
            assert!(entry(Action::Go(screen)).is_some(), "{screen:?} has no key");
        }
    }

    #[test]
    fn keys_are_spelled_as_people_read_them() {
        assert_eq!(spelled("Shift+Up"), "Shift ↑");
        assert_eq!(key_of(Action::Labelling(Act::Leave)), "Esc");
        assert_eq!(key_of(Action::Export), "");
    }

    #[test]
    fn every_button_of_the_first_hour_is_a_command() {
        let named = |name: &str| TABLE.iter().any(|line| line.name.contains(name));
        for name in [
            "Judged answers",
            "Edit the rules",
            "Save the rules",
            "Quick look",
            "Careful",
            "Compare the methods",
            "Settings of an earlier run",
            "All settings",
            "Extend the run",
            "Resume the run",
            "Do what the hint says",
            "Put the hint away",
            "Out of the queue",
            "Export the run",
        ] {
            assert!(named(name), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        let (workspace, mut views) = (Workspace::default(), Views::default());
        let possible = |action: Action, views: &mut Views| (entry(action).unwrap().when)(&workspace, views);
        assert_eq!(possible(Action::Label, &mut views), Err("No project is open".to_owned()));
        assert_eq!(possible(Action::Stop, &mut views), Err("No run is going".to_owned()));
        assert_eq!(possible(Action::Go(Screen::Pairs), &mut views), Ok(()));
    }
}
