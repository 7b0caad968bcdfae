//! The hub's protocol: what is asked, and what its answers mean. No disk.

use std::{error::Error as _, io};

use model::{MAIN, ModelName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::{
    Agent, Body,
    config::RedirectAuthHeaders,
    http::{Response, StatusCode, Uri, header},
};

use super::{
    Hub, HubError,
    checksum::Checksum,
    listing::{Listing, Stamp},
};

/// The list of a repository with thousands of files is a few megabytes long.
const MAX_LISTING_BYTES: u64 = 32 << 20;
const MAX_REDIRECTS: u32 = 8;
const USER_AGENT: &str = concat!("nudge/", env!("CARGO_PKG_VERSION"));
/// What stands for itself in a path of an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Asks one hub about one model.
pub(super) struct Client {
    agent: Agent,
    hub: Hub,
    name: ModelName,
}

/// The branch, tag or commit that is meant.
pub(super) fn revision_of(name: &ModelName) -> &str {
    name.revision().unwrap_or(MAIN)
}

/// What a request is about, for the sentence if it is refused.
enum Asked<'a> {
    Listing,
    File(&'a str),
}

impl Client {
    pub(super) fn new(hub: &Hub, name: &ModelName) -> Result<Self, HubError> {
        let address: Option<Uri> = hub.endpoint.parse().ok();
        let scheme = address.as_ref().and_then(Uri::scheme_str);
        let (true, Some(scheme @ ("https" | "http"))) =
            (address.as_ref().is_some_and(|uri| uri.host().is_some()), scheme)
        else {
            return Err(HubError::Endpoint { endpoint: hub.endpoint.clone() });
        };
        let silence = Some(hub.patience.silence);
        let config = Agent::config_builder()
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            .https_only(scheme == "https")
            .max_redirects(MAX_REDIRECTS)
            // The files lie on another host, which must not see the token.
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_resolve(silence)
            .timeout_connect(silence)
            .timeout_send_request(silence)
            .timeout_recv_response(silence)
            .timeout_per_read(silence);
        Ok(Self { agent: config.build().into(), hub: hub.clone(), name: name.clone() })
    }

    /// What ends a request that is under way, from another thread.
    pub(super) fn agent(&self) -> Agent {
        self.agent.clone()
    }

    /// What the repository holds at the revision that is meant.
    pub(super) fn listing(&self) -> Result<Listing, HubError> {
        let address = format!(
            "{}/api/models/{}/revision/{}?blobs=true",
            self.hub.endpoint,
            self.name.repo(),
            // A branch may have a slash in its name, which parts nothing here.
            revision_of(&self.name).replace('/', "%2F")
        );
        let mut response =
            self.authorised(self.agent.get(&address)).call().map_err(|error| self.unreachable(&error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(&response, &Asked::Listing));
        }
        let answer =
            response.body_mut().with_config().limit(MAX_LISTING_BYTES).read_to_vec().map_err(|error| match error {
                ureq::Error::BodyExceedsLimit(_) => {
                    self.malformed(format!("it is longer than {MAX_LISTING_BYTES} bytes"))
                }
                error => self.unreachable(&error),
            })?;
        Listing::read(&answer).map_err(|reason| self.malformed(reason))
    }

    /// Size and checksum of a file that the listing did not tell, out of the answer's head.
    pub(super) fn stamp(&self, commit: &str, file: &str) -> Result<Stamp, HubError> {
        let mut address = self.address(commit, file);
        // Only as far as the hub itself sends: the host that has the content knows another tag.
        for _ in 0..MAX_REDIRECTS {
            let request = self.authorised(self.agent.head(&address));
            let response = request
                .header(header::ACCEPT_ENCODING, "identity")
                .config()
                .max_redirects(0)
                .max_redirects_will_error(false)
                .build()
                .call()
                .map_err(|error| self.unreachable(&error))?;
            let status = response.status();
            if !status.is_success() && !status.is_redirection() {
                return Err(self.refusal(&response, &Asked::File(file)));
            }
            let head = |name: &str| response.headers().get(name)?.to_str().ok();
            let next = head("location").filter(|next| next.starts_with('/'));
            if let Some(next) = next.filter(|_| status.is_redirection()) {
                address = format!("{}{next}", self.origin());
                continue;
            }
            let checksum = head("x-linked-etag").or_else(|| head("etag")).and_then(Checksum::read);
            let bytes = head("x-linked-size").or_else(|| head("content-length")).and_then(|bytes| bytes.parse().ok());
            return checksum
                .zip(bytes)
                .map(|(checksum, bytes)| Stamp { bytes, checksum })
                .ok_or_else(|| self.malformed(format!("it does not tell size and checksum of {file}")));
        }
        Err(self.malformed(format!("it sends on and on for {file}")))
    }

    /// A file's content from a byte on: 200 with all of it, 206 with the rest, or 416 where there is no rest.
    pub(super) fn content(&self, commit: &str, file: &str, from: u64) -> Result<Response<Body>, HubError> {
        let mut request = self
            .authorised(self.agent.get(self.address(commit, file)))
            // A content that was packed on the way could be neither gone on with nor checked.
            .header(header::ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            _ => Err(self.refusal(&response, &Asked::File(file))),
        }
    }

    pub(super) fn malformed(&self, reason: String) -> HubError {
        HubError::Malformed { repo: self.name.repo().to_owned(), endpoint: self.hub.endpoint.clone(), reason }
    }

    fn address(&self, commit: &str, file: &str) -> String {
        format!("{}/{}/resolve/{commit}/{}", self.hub.endpoint, self.name.repo(), utf8_percent_encode(file, PLAIN))
    }

    /// `https://host`, without the path that a mirror may have.
    fn origin(&self) -> &str {
        let endpoint = &self.hub.endpoint;
        let host = endpoint.find("://").map_or(0, |at| at + 3);
        let end = endpoint[host..].find('/').map_or(endpoint.len(), |at| host + at);
        &endpoint[..end]
    }

    fn host(&self) -> String {
        self.origin().split("://").last().unwrap_or_default().to_owned()
    }

    fn authorised<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.hub.token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> HubError {
        HubError::Network { host: self.host(), reason: reason(error) }
    }

    /// What an answer means that is neither content nor list. The hub gives its reason in a header of its own.
    fn refusal(&self, response: &Response<Body>, asked: &Asked<'_>) -> HubError {
        let head = |name: &str| response.headers().get(name)?.to_str().ok();
        let status = response.status().as_u16();
        let message = head("x-error-message");
        let has_token = self.hub.token.is_some();
        let (repo, endpoint) = (self.name.repo().to_owned(), self.hub.endpoint.clone());
        if has_token && message.is_some_and(|said| said.starts_with("Invalid credentials")) {
            return HubError::Token { endpoint };
        }
        match (head("x-error-code").unwrap_or_default(), status, asked) {
            ("GatedRepo", ..) => HubError::Gated { repo, endpoint, has_token },
            ("RevisionNotFound", ..) => {
                HubError::NoSuchRevision { repo, revision: revision_of(&self.name).to_owned(), endpoint }
            }
            ("EntryNotFound", _, Asked::File(file)) | (_, 404, Asked::File(file)) => {
                HubError::NoSuchFile { name: self.name.clone(), file: (*file).to_owned(), gguf: Vec::new() }
            }
            // A hub that does not know who asks does not tell a private model from none.
            ("RepoNotFound", ..) | (_, 401 | 404, _) => HubError::NoSuchModel { repo, endpoint, has_token },
            _ => HubError::Refused {
                host: self.host(),
                what: match asked {
                    Asked::Listing => format!("the question what {repo} holds"),
                    Asked::File(file) => format!("the question for {file} of {repo}"),
                },
                status,
                said: message.map(|said| {
                    let plain = said.chars().filter(|letter| !letter.is_control());
                    plain.take(200).collect()
                }),
            },
        }
    }
}

/// Why a request failed, in words that a user can do something with.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "no host of this name was found".to_owned(),
        ureq::Error::Timeout(_) => "it does not answer".to_owned(),
        ureq::Error::Io(error) => broken(error),
        other => other.to_string(),
    }
}

/// The same for a body that broke off.
pub(super) fn broken(error: &io::Error) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        return reason(error);
    }
    match error.kind() {
        io::ErrorKind::TimedOut => "nothing came any more".to_owned(),
        io::ErrorKind::UnexpectedEof => "it was closed too early".to_owned(),
        _ => match error.source() {
            Some(source) if !error.to_string().contains(&source.to_string()) => {
                format!("{error} ({source})")
            }
            _ => error.to_string(),
        },
    }
}
