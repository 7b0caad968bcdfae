//! Models by name, from a hub on this machine: what is fetched, what is kept, what is said.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nudge::{
    data::download::Phase,
    hub::{Download, DownloadEnd, Fetched, Hub, HubError, Patience},
    model::HubCache,
};
use serde_json::Value;

use crate::hub_server::{Asked, COMMIT, REPO, Server, tag};

pub fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

/// A cache of its own, and little patience.
pub fn hub(server: &Server, cache: &Path) -> Hub {
    Hub {
        endpoint: server.endpoint(),
        cache: cache.to_owned(),
        token: None,
        offline: false,
        patience: Patience { tries: 0, pause: Duration::from_millis(1), silence: Duration::from_mins(1) },
    }
}

pub fn fetch(hub: &Hub, name: &str) -> DownloadEnd {
    Download::start(hub, name.parse().unwrap(), Arc::new(|| ())).unwrap().wait()
}

/// Bytes of this file's content that were sent.
fn sent(asked: &[Asked], file: &str) -> usize {
    let cdn = format!("/cdn/{file}");
    asked.iter().filter(|asked| asked.path == cdn).map(|asked| asked.sent).sum()
}

/// Files below a folder, by path, links with where they lead.
fn tree(root: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if let Ok(target) = fs::read_link(&path) {
                all.push(format!("{name} -> {}", target.to_str().unwrap()));
            } else if path.is_dir() {
                folders.push(path);
            } else {
                all.push(name);
            }
        }
    }
    all.sort();
    all
}

/// The program, with this hub and a cache in this home.
fn nudge(server: &Server, home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nudge"));
    command
        .args(args)
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("HF_HUB_CACHE", home.join("cache"))
        .env("HF_ENDPOINT", server.endpoint())
        .stdin(Stdio::null());
    for key in ["HF_HUB_OFFLINE", "HF_TOKEN", "HF_HOME", "http_proxy", "HTTP_PROXY", "RUST_LOG"] {
        command.env_remove(key);
    }
    command
}

fn run(server: &Server, home: &Path, args: &[&str]) -> Output {
    nudge(server, home, args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_model_is_fetched_only_when_asked_for_and_then_answers() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let server = Server::of_folder(&model("llama_mha"));
    let answer = ["generate", "--model", REPO, "--prompt", "Hello", "--greedy", "--max-new", "4"];

    let output = run(&server, home, &answer);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("nudge download org/name"), "{errors}");
    assert_eq!(server.asked(), []);

    let output = run(&server, home, &["download", REPO]);
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("--model org/name"), "{errors}");
    let folder = home.join(format!("cache/models--org--name/snapshots/{COMMIT}"));
    assert_eq!(text(&output.stdout).trim(), folder.to_str().unwrap());

    let output = run(&server, home, &answer);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let by_folder = model("llama_mha");
    let mut there = answer;
    there[2] = by_folder.to_str().unwrap();
    assert_eq!(output.stdout, run(&server, home, &there).stdout);

    server.asked();
    let lines = text(&run(&server, home, &["download", REPO, "--json"]).stdout);
    let end: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(end["status"], "completed");
    assert_eq!(end["received"], 0, "all of it was there");
    assert_eq!(server.asked().len(), 1, "only the list was asked for");
}

/// As `huggingface_hub.snapshot_download` leaves it.
#[cfg(unix)]
#[test]
fn the_cache_is_laid_out_as_pythons() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("qwen3_qknorm"));
    let fetched = fetch(&hub(&server, cache.path()), "org/name").unwrap();
    let mut expected = vec!["refs/main".to_owned()];
    for (name, content) in server.files() {
        let tag = tag(content);
        expected.push(format!("blobs/{tag}"));
        expected.push(format!("snapshots/{COMMIT}/{name} -> ../../blobs/{tag}"));
    }
    expected.sort();
    let entry = cache.path().join("models--org--name");
    assert_eq!(tree(&entry), expected);
    assert_eq!(fs::read_to_string(entry.join("refs/main")).unwrap(), COMMIT);
    for (name, content) in server.files() {
        assert_eq!(&fs::read(fetched.path.join(name)).unwrap(), content, "{name}");
    }
    let hub_cache = HubCache::at(cache.path());
    assert_eq!(hub_cache.resolve(Path::new(REPO)).unwrap(), fetched.path);
}

#[test]
fn a_revision_has_a_name_of_its_own() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let hub = hub(&server, cache.path());
    let by_commit = format!("{REPO}@{COMMIT}");
    let folder = fetch(&hub, "org/name@refs/pr/3").unwrap().path;
    assert_eq!(fetch(&hub, &by_commit).unwrap().path, folder);
    let asked = server.asked();
    assert!(asked[0].path.starts_with("/api/models/org/name/revision/refs%2Fpr%2F3"));
    let hub_cache = HubCache::at(cache.path());
    for name in ["org/name@refs/pr/3", &by_commit] {
        assert_eq!(hub_cache.resolve(Path::new(name)).unwrap(), folder, "{name}");
    }
    let error = hub_cache.resolve(Path::new("org/name@v2")).unwrap_err().to_string();
    assert!(error.contains("nudge download org/name@v2"), "{error}");
}

#[test]
fn shards_are_those_that_the_index_names() {
    let cache = tempfile::tempdir().unwrap();
    let left_out = ["model-00005-of-00004.safetensors", "pytorch_model.bin", "onnx/model.onnx"];
    let server = {
        let of_model = Server::of_folder(&model("llama_sharded"));
        let mut files = of_model.files().clone();
        files.extend(left_out.map(|name| (name.to_owned(), vec![1; 9000])));
        Server::start(files)
    };
    let fetched = fetch(&hub(&server, cache.path()), "org/name").unwrap();
    let names = tree(&fetched.path);
    assert_eq!(names.len(), server.files().len() - 3, "{names:?}");
    for name in server.files().keys() {
        assert_eq!(fetched.path.join(name).exists(), !left_out.contains(&name.as_str()));
    }
}

#[test]
fn of_gguf_files_the_one_that_is_named_comes() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("../gguf"));
    let hub = hub(&server, cache.path());
    let error = fetch(&hub, "org/name").unwrap_err();
    let HubError::WhichFile { gguf, name } = &error else {
        panic!("{error}");
    };
    let is_gguf = |name: &&String| Path::new(name).extension().is_some_and(|end| end == "gguf");
    let there = server.files().keys().filter(is_gguf).count();
    assert_eq!(gguf.len(), there);
    assert!(error.to_string().contains("llama_q8_0.gguf ("), "{error}");
    assert_eq!(server.asked().len(), 1, "no content was asked for");
    let name = name.with_file("llama_q8_0.gguf").unwrap().to_string();
    let fetched = fetch(&hub, &name).unwrap();
    assert_eq!(tree(&hub.cache.join("models--org--name/blobs")).len(), 1);
    let hub_cache = HubCache::at(cache.path());
    assert_eq!(hub_cache.resolve(Path::new(&name)).unwrap(), fetched.path);
    nudge::model::Spec::read(&fetched.path).unwrap();

    fetch(&hub, "org/name/llama_k.gguf").unwrap();
    let error = hub_cache.resolve(Path::new(REPO)).unwrap_err().to_string();
    assert!(error.contains("org/name/llama_k.gguf, org/name/llama_q8_0.gguf"), "{error}");
}

#[test]
fn a_broken_connection_is_gone_on_with() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let size = server.files()["model.safetensors"].len();
    let mut hub = hub(&server, cache.path());

    // By the same command, later.
    server.trouble().cut = Some((20_000, 1));
    let error = fetch(&hub, "org/name").unwrap_err();
    assert!(matches!(error, HubError::Interrupted { bytes: 20_000, .. }), "{error}");
    assert!(error.to_string().contains("goes on from there"), "{error}");
    let error = HubCache::at(cache.path()).resolve(Path::new(REPO)).unwrap_err();
    assert!(error.to_string().contains("not fetched to the end"), "{error}");
    let first = server.asked();
    let fetched = fetch(&hub, "org/name").unwrap();
    let second = server.asked();
    assert_eq!(sent(&first, "model.safetensors"), 20_000);
    assert_eq!(sent(&second, "model.safetensors"), size - 20_000);
    assert!(second.iter().any(|asked| asked.range.as_deref() == Some("bytes=20000-")));
    assert_eq!(fetched.received, (size - 20_000) as u64);

    // And by itself.
    fs::remove_dir_all(cache.path().join("models--org--name")).unwrap();
    hub.patience.tries = 1;
    server.trouble().cut = Some((10_000, 3));
    fetch(&hub, "org/name").unwrap();
    assert_eq!(sent(&server.asked(), "model.safetensors"), size);
}

#[test]
fn a_server_without_ranges_sends_all_of_it_again() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let hub = hub(&server, cache.path());
    server.trouble().cut = Some((20_000, 1));
    server.trouble().no_ranges = true;
    fetch(&hub, "org/name").unwrap_err();
    let fetched = fetch(&hub, "org/name").unwrap();
    let weights = fs::read(fetched.path.join("model.safetensors")).unwrap();
    assert_eq!(weights, server.files()["model.safetensors"]);
}

#[test]
fn what_does_not_match_its_checksum_is_fetched_once_more_and_never_kept() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let hub = hub(&server, cache.path());
    server.trouble().damaged = 2;
    let error = fetch(&hub, "org/name").unwrap_err();
    assert!(matches!(error, HubError::Checksum { .. }), "{error}");
    let weights = tag(&server.files()["model.safetensors"]);
    let entry = cache.path().join("models--org--name");
    assert!(tree(&entry).iter().all(|path| !path.contains(&weights)));

    server.trouble().damaged = 1;
    let fetched = fetch(&hub, "org/name").unwrap();
    let weights = fs::read(fetched.path.join("model.safetensors")).unwrap();
    assert_eq!(weights, server.files()["model.safetensors"]);
}

#[test]
fn a_cancelled_download_ends_at_once_and_keeps_what_is_there() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let size = server.files()["model.safetensors"].len() as u64;
    let hub = hub(&server, cache.path());
    server.trouble().slow = Some(Duration::from_millis(5));
    let (wake, woken) = crossbeam::channel::bounded(1);
    let waker = Arc::new(move || wake.try_send(()).unwrap_or(()));
    let download = Download::start(&hub, REPO.parse().unwrap(), waker).unwrap();
    let seen = loop {
        woken.recv_timeout(Duration::from_secs(30)).unwrap();
        let progress = download.progress();
        if progress.secs_left().is_some() {
            break progress;
        }
        assert_ne!(progress.phase, Phase::Ended, "it was to be slow");
    };
    assert_eq!(seen.file.as_deref(), Some("model.safetensors"));
    assert_eq!(seen.files, server.files().len());
    assert!(seen.bytes > seen.total_bytes - size && seen.share() > 0.0);
    // Nothing more comes, and there is no waiting for it.
    server.trouble().slow = Some(Duration::from_mins(1));
    let asked = Instant::now();
    download.cancel();
    let outcome = download.wait();
    assert!(asked.elapsed() < Duration::from_secs(20));
    assert!(matches!(outcome, Err(HubError::Cancelled)));

    server.trouble().slow = None;
    let fetched = fetch(&hub, "org/name").unwrap();
    assert!(fetched.received < size, "{} of {size}", fetched.received);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_politely_and_says_how_to_go_on() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    server.trouble().slow = Some(Duration::from_millis(20));
    let child =
        nudge(&server, home.path(), &["download", REPO]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !server.asked().iter().any(|asked| asked.path == "/cdn/model.safetensors") {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("`nudge download org/name` goes on from there"), "{errors}");
    assert!(output.stdout.is_empty());
}

#[test]
fn two_downloads_of_one_model_fetch_it_once() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let size = server.files()["model.safetensors"].len();
    server.trouble().slow = Some(Duration::from_millis(1));
    let hub = hub(&server, cache.path());
    let both: Vec<Download> =
        (0..2).map(|_| Download::start(&hub, REPO.parse().unwrap(), Arc::new(|| ())).unwrap()).collect();
    let both: Vec<Fetched> = both.into_iter().map(|download| download.wait().unwrap()).collect();
    assert_eq!(both[0].path, both[1].path);
    assert_eq!(sent(&server.asked(), "model.safetensors"), size);
}

#[test]
fn a_mirror_that_lists_names_only_is_asked_for_the_rest() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    server.trouble().names_only = true;
    let fetched = fetch(&hub(&server, cache.path()), "org/name").unwrap();
    for (name, content) in server.files() {
        assert_eq!(&fs::read(fetched.path.join(name)).unwrap(), content, "{name}");
    }
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let mut hub = hub(&server, cache.path());
    hub.token = Some("hf_secret".to_owned());
    fetch(&hub, "org/name").unwrap();
    for asked in server.asked() {
        let expected = (!asked.path.starts_with("/cdn/")).then_some("Bearer hf_secret");
        assert_eq!(asked.authorization.as_deref(), expected, "{}", asked.path);
    }
}

/// What is told before a download is what comes: of shards all, from a mirror without sizes too, and less what is
/// there.
#[test]
fn what_is_offered_is_what_comes() {
    for (name, names_only) in [("llama_sharded", false), ("qwen2_bf16", true)] {
        let server = Server::of_folder(&model(name));
        server.trouble().names_only = names_only;
        let cache = tempfile::tempdir().unwrap();
        let hub = hub(&server, cache.path());
        let ask = || hub.offer(&REPO.parse().unwrap()).unwrap();
        let offer = ask();
        assert_eq!(offer.there, 0);
        let snapshot = fetch(&hub, REPO).unwrap().path;
        let sizes: Vec<u64> =
            fs::read_dir(snapshot).unwrap().map(|entry| fs::metadata(entry.unwrap().path()).unwrap().len()).collect();
        assert_eq!(offer.files, sizes.len(), "{name}");
        assert_eq!(offer.bytes, sizes.iter().sum::<u64>(), "{name}");
        assert_eq!(ask().there, offer.bytes, "{name}");
    }
}
