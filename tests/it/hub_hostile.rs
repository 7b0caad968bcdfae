//! Hubs that refuse, and hubs that lie: a sentence each, and nothing where it does not belong.

use std::{collections::BTreeMap, fs, time::Duration};

use nudge::hub::HubError;
use serde_json::json;

use crate::{
    hub::{fetch, hub, model},
    hub_server::{COMMIT, REPO, Server, listing},
};

/// Headers of an answer.
type Head = Vec<(&'static str, &'static str)>;

fn code(code: &'static str) -> Head {
    vec![("X-Error-Code", code)]
}

#[test]
fn a_refusal_says_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let without = hub(&server, cache.path());
    let mut with = without.clone();
    with.token = Some("hf_secret".to_owned());
    let bad_token = vec![("X-Error-Message", "Invalid credentials in Authorization header")];
    for (hub, status, head, said) in [
        (&without, 401, code("RepoNotFound"), "has no model org/name"),
        (&with, 404, code("RepoNotFound"), "has no model org/name"),
        (&without, 401, vec![], "has no model org/name"),
        (&without, 404, code("RevisionNotFound"), "no revision main"),
        (&with, 401, bad_token, "does not accept the token"),
        (
            &without,
            503,
            vec![("X-Error-Message", "Be back soon")],
            "503 to the question what org/name holds (\"Be back soon\")",
        ),
        (&without, 429, vec![], "Try again later"),
    ] {
        server.trouble().listing = Some((status, head));
        let error = fetch(hub, REPO).unwrap_err().to_string();
        assert!(error.contains(said), "{status}: {error}");
        assert!(!error.contains("hf_secret"), "{error}");
    }
    server.trouble().listing = None;
    for (hub, status, said) in [(&without, 401, "put it into HF_TOKEN"), (&with, 403, "with the account of your token")]
    {
        server.trouble().file = Some((status, code("GatedRepo")));
        let error = fetch(hub, REPO).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("/org/name"), "{error}");
    }
}

#[test]
fn no_network_and_no_wish_for_it() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let mut hub = hub(&server, cache.path());
    hub.offline = true;
    let error = fetch(&hub, REPO).unwrap_err().to_string();
    assert!(error.contains("HF_HUB_OFFLINE"), "{error}");
    assert_eq!(server.asked(), []);

    hub.offline = false;
    for (endpoint, said) in [
        ("http://127.0.0.1:1", "Could not reach 127.0.0.1:1"),
        ("http://nowhere.invalid", "Could not reach nowhere.invalid"),
        ("file:///etc", "HF_ENDPOINT"),
        ("nonsense", "HF_ENDPOINT"),
        ("", "HF_ENDPOINT"),
    ] {
        endpoint.clone_into(&mut hub.endpoint);
        let error = fetch(&hub, REPO).unwrap_err().to_string();
        assert!(error.contains(said), "{endpoint}: {error}");
    }

    hub.endpoint = server.endpoint();
    server.trouble().silent = true;
    hub.patience.silence = Duration::from_millis(200);
    let error = fetch(&hub, REPO).unwrap_err().to_string();
    assert!(error.contains("does not answer"), "{error}");
}

#[test]
fn a_model_that_cannot_be_used_is_not_fetched() {
    let cache = tempfile::tempdir().unwrap();
    let mut files = Server::of_folder(&model("llama_mha")).files().clone();
    files.insert("config.json".to_owned(), json!({"model_type": "mamba"}).to_string().into_bytes());
    let server = Server::start(files);
    let error = fetch(&hub(&server, cache.path()), REPO).unwrap_err();
    assert!(matches!(error, HubError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("mamba"), "{error}");
    let asked = server.asked();
    assert!(asked.iter().all(|asked| !asked.path.contains("safetensors")), "{asked:?}");
}

#[test]
fn more_than_the_disk_holds_is_not_begun() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let mut list = listing(server.files());
    for file in list["siblings"].as_array_mut().unwrap() {
        if file["rfilename"] == "model.safetensors" {
            file["lfs"]["size"] = json!(u64::MAX - 7);
        }
    }
    server.trouble().listing_body = Some(list.to_string().into_bytes());
    let error = fetch(&hub(&server, cache.path()), REPO).unwrap_err();
    assert!(matches!(error, HubError::NoRoom { .. }), "{error}");
    let asked = server.asked();
    assert!(asked.iter().all(|asked| !asked.path.contains("/cdn/")));
}

#[test]
fn names_that_lead_elsewhere_are_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let cache = place.path().join("cache");
    let index = json!({"weight_map": {"a": "../../../../evil.safetensors"}}).to_string();
    let of_model = Server::of_folder(&model("llama_mha"));
    let mut files: BTreeMap<String, Vec<u8>> = of_model.files().clone();
    for name in ["../evil.gguf", "/evil.gguf", "..\\evil.gguf", "../../../../evil.safetensors"] {
        files.insert(name.to_owned(), b"evil".to_vec());
    }
    let fetched = fetch(&hub(&Server::start(files.clone()), &cache), REPO).unwrap();
    assert_eq!(fetched.files, of_model.files().len());

    files.remove("model.safetensors"); // beside which no index is read
    files.insert("model.safetensors.index.json".to_owned(), index.into_bytes());
    let error = fetch(&hub(&Server::start(files), &cache), REPO).unwrap_err();
    assert!(error.to_string().contains("evil.safetensors"), "{error}");
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn lists_that_cannot_be_true_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let hub = hub(&server, cache.path());
    let honest = listing(server.files());
    let mut commit = honest.clone();
    commit["sha"] = json!("../../../../elsewhere");
    let mut tags = honest.clone();
    for file in tags["siblings"].as_array_mut().unwrap() {
        file["blobId"] = json!("../../elsewhere");
        file["lfs"] = json!(null);
    }
    let endless = format!("{{\"sha\": \"{COMMIT}\", \"siblings\": [{}", "{},".repeat(20 << 20));
    for body in [
        b"<html>Log in to this network</html>".to_vec(),
        b"{}".to_vec(),
        b"[".repeat(100_000),
        commit.to_string().into_bytes(),
        endless.into_bytes(),
    ] {
        server.trouble().listing_body = Some(body);
        let error = fetch(&hub, REPO).unwrap_err();
        assert!(matches!(error, HubError::Malformed { .. }), "{error}");
        assert!(error.to_string().len() < 1000, "{error}");
    }
    // A tag that is no checksum is asked for again, of the file itself.
    server.trouble().listing_body = Some(tags.to_string().into_bytes());
    fetch(&hub, REPO).unwrap();
}

#[test]
fn bodies_that_lie_about_their_length_do_no_harm() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let hub = hub(&server, cache.path());
    server.trouble().says_too_much = true;
    let error = fetch(&hub, REPO).unwrap_err();
    assert!(matches!(error, HubError::Malformed { .. }), "{error}");
    server.trouble().says_too_much = false;

    // The true content and then no end: what was to come is right, and no more is read.
    server.trouble().endless = true;
    fetch(&hub, REPO).unwrap();
    let entry = cache.path().join("models--org--name");
    let weights = fs::metadata(entry.join(format!("snapshots/{COMMIT}/model.safetensors")));
    assert_eq!(weights.unwrap().len(), server.files()["model.safetensors"].len() as u64);
}

#[test]
fn circles_are_left() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&model("llama_mha"));
    let hub = hub(&server, cache.path());
    let circle = "/org/name/resolve/c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00/config.json";
    for head in [vec![("Location", circle)], vec![]] {
        for names_only in [false, true] {
            server.trouble().file = Some((302, head.clone()));
            server.trouble().names_only = names_only;
            let error = fetch(&hub, REPO).unwrap_err().to_string();
            assert!(!error.contains("fault of this program"), "{error}");
        }
    }
}
