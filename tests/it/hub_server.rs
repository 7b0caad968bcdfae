//! A hub on this machine that answers as huggingface.co does, and as it had better not.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

pub const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
pub const REPO: &str = "org/name";

/// Files from this size on are kept as the hub keeps large ones: elsewhere, under their SHA-256.
const LARGE: usize = 4096;

pub struct Server {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    port: u16,
    files: BTreeMap<String, Vec<u8>>,
    trouble: Mutex<Trouble>,
    asked: Mutex<Vec<Asked>>,
}

/// What goes wrong.
#[derive(Default)]
pub struct Trouble {
    /// An answer to the question what there is: status and headers.
    pub listing: Option<(u16, Vec<(&'static str, &'static str)>)>,
    /// Its body instead of the true one.
    pub listing_body: Option<Vec<u8>>,
    /// The same for every file.
    pub file: Option<(u16, Vec<(&'static str, &'static str)>)>,
    /// Large contents break off after so many bytes; so many times.
    pub cut: Option<(usize, usize)>,
    /// One bit of large contents is wrong; so many times.
    pub damaged: usize,
    /// A pause after each KiB of a large content.
    pub slow: Option<Duration>,
    /// Large contents never end, and no length is told.
    pub endless: bool,
    /// Large contents come without the rest of what was announced, as often as they are asked for.
    pub says_too_much: bool,
    /// `Range` is not understood.
    pub no_ranges: bool,
    /// The list has names only, as that of some mirrors.
    pub names_only: bool,
    /// Connections are taken and never answered.
    pub silent: bool,
}

/// A request, and what it was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    /// Bytes of content that were sent.
    pub sent: usize,
}

impl Server {
    pub fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { port, files, trouble: Mutex::default(), asked: Mutex::default() });
        let serving = Arc::clone(&shared);
        let serve = move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // A client that leaves in the middle is part of the play.
                start_thread(move || drop(shared.answer(stream)));
            }
        };
        start_thread(serve);
        Self { port, shared }
    }

    /// A hub with one model, the files of a folder.
    pub fn of_folder(folder: &Path) -> Self {
        let files = fs::read_dir(folder).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        });
        Self::start(files.collect())
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.shared.trouble.lock().unwrap()
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.shared.files
    }
}

fn start_thread(work: impl FnOnce() + Send + 'static) {
    let builder = thread::Builder::new().name("hub".to_owned());
    builder.spawn(work).unwrap();
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// How the hub names a content.
pub fn tag(content: &[u8]) -> String {
    if content.len() >= LARGE {
        return hex(&Sha256::digest(content));
    }
    let mut hasher = Sha1::new_with_prefix(format!("blob {}\0", content.len()));
    hasher.update(content);
    hex(&hasher.finalize())
}

/// What the hub says of a repository.
pub fn listing(files: &BTreeMap<String, Vec<u8>>) -> Value {
    let siblings: Vec<Value> = files
        .iter()
        .map(|(name, content)| {
            let tag = tag(content);
            if content.len() >= LARGE {
                let lfs = json!({"sha256": tag, "size": content.len(), "pointerSize": 134});
                json!({"rfilename": name, "blobId": "0".repeat(40), "size": content.len(), "lfs": lfs})
            } else {
                json!({"rfilename": name, "blobId": tag, "size": content.len()})
            }
        })
        .collect();
    let card = json!({"license": "apache-2.0"});
    json!({"id": REPO, "sha": COMMIT, "gated": false, "cardData": card, "siblings": siblings})
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let mut asked = Asked { path: target.to_owned(), range: None, authorization: None, sent: 0 };
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "range" => asked.range = Some(value.to_owned()),
                "authorization" => asked.authorization = Some(value.to_owned()),
                _ => {}
            }
        }
        let at = {
            let mut all = self.asked.lock().unwrap();
            all.push(asked.clone());
            all.len() - 1
        };
        if self.trouble.lock().unwrap().silent {
            thread::sleep(Duration::from_mins(1));
        }
        let reply = self.reply(&asked, method == "HEAD");
        let mut head = format!("HTTP/1.1 {} -\r\nConnection: close\r\n", reply.status);
        for (name, value) in &reply.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if method == "HEAD" {
            return Ok(());
        }
        for piece in reply.body.chunks(1024) {
            stream.write_all(piece)?;
            if let Some(asked) = self.asked.lock().unwrap().get_mut(at) {
                asked.sent += piece.len();
            }
            let slow = self.trouble.lock().unwrap().slow;
            if let Some(pause) = slow.filter(|_| reply.is_large) {
                thread::sleep(pause);
            }
        }
        if reply.endless {
            loop {
                stream.write_all(&[0; 1024])?;
            }
        }
        Ok(())
    }

    fn reply(&self, asked: &Asked, is_head: bool) -> Reply {
        let path = asked.path.split('?').next().unwrap();
        let trouble = self.trouble.lock().unwrap();
        if path.starts_with(&format!("/api/models/{REPO}/revision/")) {
            if let Some((status, headers)) = &trouble.listing {
                return Reply::refusal(*status, headers);
            }
            let mut list = listing(&self.files);
            if trouble.names_only {
                for file in list["siblings"].as_array_mut().unwrap() {
                    *file = json!({"rfilename": file["rfilename"]});
                }
            }
            let body = trouble.listing_body.clone();
            return Reply::of(body.unwrap_or_else(|| list.to_string().into_bytes()));
        }
        let resolve = format!("/{REPO}/resolve/{COMMIT}/");
        let cache = format!("/api/resolve-cache/{COMMIT}/");
        if let Some(name) = path.strip_prefix(&resolve) {
            if let Some((status, headers)) = &trouble.file {
                return Reply::refusal(*status, headers);
            }
            let Some(content) = self.files.get(name) else {
                return Reply::refusal(404, &[("X-Error-Code", "EntryNotFound")]);
            };
            let mut reply = Reply::of(b"elsewhere".to_vec());
            reply.header("X-Repo-Commit", COMMIT);
            if content.len() >= LARGE {
                reply.status = 302;
                reply.header("X-Linked-Size", content.len());
                reply.header("X-Linked-Etag", format!("\"{}\"", tag(content)));
                // Another host's name, so that the token must stay here.
                reply.header("Location", format!("http://localhost:{}/cdn/{name}", self.port));
            } else {
                reply.status = 307;
                reply.header("Location", format!("{cache}{name}"));
            }
            return reply;
        }
        let large = path.strip_prefix("/cdn/");
        let found = large.or_else(|| path.strip_prefix(&cache));
        let Some((name, content)) = found.and_then(|name| self.files.get_key_value(name)) else {
            return Reply::refusal(404, &[]);
        };
        let start = asked.range.as_ref().map_or(0, |range| {
            let start = range.strip_prefix("bytes=").unwrap().split('-').next();
            start.unwrap().parse().unwrap()
        });
        let start = if trouble.no_ranges { 0 } else { start };
        if start >= content.len() && start > 0 {
            return Reply::refusal(416, &[]);
        }
        let mut reply = Reply::of(content[start..].to_vec());
        reply.header("ETag", format!("\"{}\"", tag(content)));
        reply.header("X-Repo-Commit", COMMIT);
        if start > 0 {
            reply.status = 206;
            let (last, all) = (content.len() - 1, content.len());
            reply.header("Content-Range", format!("bytes {start}-{last}/{all}"));
        }
        if large.is_some() && name.ends_with(".safetensors") && !is_head {
            drop(trouble);
            self.spoil(&mut reply);
        }
        reply
    }

    fn spoil(&self, reply: &mut Reply) {
        let mut trouble = self.trouble.lock().unwrap();
        reply.is_large = true;
        if trouble.damaged > 0 {
            trouble.damaged -= 1;
            let middle = reply.body.len() / 2;
            reply.body[middle] ^= 1;
        }
        if let Some((after, times)) = &mut trouble.cut
            && *times > 0
        {
            *times -= 1;
            reply.body.truncate(*after);
        }
        if trouble.endless {
            reply.endless = true;
            reply.headers.retain(|(name, _)| name != "Content-Length");
        }
        if trouble.says_too_much {
            reply.headers.retain(|(name, _)| name != "Content-Length");
            reply.header("Content-Length", reply.body.len() * 2);
        }
    }
}

struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_large: bool,
    endless: bool,
}

impl Reply {
    /// With the length that it has before anything is cut off.
    fn of(body: Vec<u8>) -> Self {
        let mut reply = Self { status: 200, headers: Vec::new(), body, is_large: false, endless: false };
        reply.header("Content-Length", reply.body.len());
        reply
    }

    fn refusal(status: u16, headers: &[(&str, &str)]) -> Self {
        let mut reply = Self::of(Vec::new());
        reply.status = status;
        for (name, value) in headers {
            reply.header(name, value);
        }
        reply
    }

    fn header(&mut self, name: &str, value: impl ToString) {
        self.headers.push((name.to_owned(), value.to_string()));
    }
}
