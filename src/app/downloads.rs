//! Fetches models from the hub: asks what there is, starts, watches, and tells how it ended.

use std::sync::Arc;

use data::download::Progress;
use hub::{Download, HubError, ModelName};
use state::{
    Command,
    download::{FetchCommand, Fetching},
    models::{ModelsCommand, Selected},
    runs::Loaded,
};

use super::{
    App,
    jobs::{Lane, update},
};

impl App {
    /// Asks what a name would bring; nothing is fetched yet.
    pub(super) fn ask_hub(&mut self, typed: String) {
        if self.workspace.models.fetching.is_busy() {
            return;
        }
        let name: ModelName = match typed.parse() {
            Ok(name) => name,
            Err(error) => {
                self.workspace.models.fetching = Fetching::Failed { name: typed, error: error.to_string() };
                return;
            }
        };
        let hub = self.hub.clone();
        self.workspace.models.fetching = Fetching::Asking(name.to_string());
        self.jobs.aside(Lane::Look, "Could not ask the hub", move || {
            let offer = hub.offer(&name);
            Ok(update(move |workspace, _| {
                // Somebody may have asked for something else since.
                if workspace.models.fetching != Fetching::Asking(name.to_string()) {
                    return;
                }
                workspace.models.fetching = match offer {
                    Ok(offer) => Fetching::Offered(offer),
                    Err(error) => ended_badly(&name, error),
                };
            }))
        });
    }

    pub(super) fn start_download(&mut self, typed: &str) {
        let Ok(name) = typed.parse::<ModelName>() else {
            return;
        };
        let inbox = self.inbox.clone();
        let waker = Arc::new(move || inbox.push(Command::Models(ModelsCommand::Fetch(FetchCommand::Watch))));
        let fetching = match Download::start(&self.hub, name.clone(), waker) {
            Ok(download) => {
                self.download = Some(download);
                Fetching::UnderWay { name: name.to_string(), progress: Progress::default() }
            }
            Err(error) => Fetching::Failed {
                name: name.to_string(),
                error: format!("The system gives no thread for it: {error}"),
            },
        };
        self.workspace.models.fetching = fetching;
    }

    /// Takes in how far the download is, and how it ended.
    pub(super) fn watch_download(&mut self) {
        let Some(download) = &self.download else {
            return;
        };
        let name = download.name().clone();
        let Some(outcome) = download.take_outcome() else {
            let progress = download.progress();
            self.workspace.models.fetching = Fetching::UnderWay { name: name.to_string(), progress };
            return;
        };
        self.download = None;
        self.workspace.models.fetching = match outcome {
            Ok(fetched) => {
                self.views.models.selected = Some(Selected::Model(fetched.path.clone()));
                self.views.models.reveal = true;
                self.workspace.models.looked = Loaded::Absent;
                Fetching::Done { name: name.to_string(), path: fetched.path }
            }
            Err(error) => ended_badly(&name, error),
        };
    }
}

fn ended_badly(name: &ModelName, error: HubError) -> Fetching {
    let name = name.to_string();
    match error {
        HubError::Cancelled => Fetching::Stopped(name),
        HubError::WhichFile { gguf, .. } => Fetching::WhichFile { name, files: gguf },
        error => Fetching::Failed { name, error: error.to_string() },
    }
}
