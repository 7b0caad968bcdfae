//! Preference files in and out, and what is written over.

use std::{fs, path::Path};

use egui::{Key, Modifiers, accesskit::Role};
use nudge::{
    data::{Change, Edit, Pair, PairId, Prompt},
    state::Screen,
    store::{Project, ProjectSettings},
};

use crate::{
    terminal::{SMALL, out, path, project, run, sentence},
    window::Window,
};

const RECORD: &str = "{\"prompt\":\"p\",\"chosen\":\"good\",\"rejected\":\"bad\"}\n";
const CHAT: &str = "{\"prompt\":[{\"role\":\"user\",\"content\":\"p\"}],\"chosen\":\"good\",\"rejected\":\"bad\"}\n";

#[cfg(unix)]
#[test]
fn dh1_pairs_and_reports_are_written_through_links_and_into_pipes() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let at = |name: &str| home.join(name);
    fs::write(at("real"), "precious").unwrap();
    fs::set_permissions(at("real"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real", at("link")).unwrap();
    let errors = sentence(home, &["pairs", &project, "--out", &path(&at("link"))], 1);
    assert!(errors.contains("is there already") && errors.contains("--overwrite"), "{errors}");
    assert_eq!(fs::read_to_string(at("real")).unwrap(), "precious");
    out(home, &["pairs", &project, "--out", &path(&at("link")), "--overwrite"]);
    assert_eq!(fs::read_to_string(at("real")).unwrap().lines().count(), 12);
    assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
    assert_eq!(fs::metadata(at("real")).unwrap().permissions().mode() & 0o777, 0o640);

    let pipe = at("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read_to_string(&pipe).unwrap());
        out(home, &["pairs", &project, "--out", &path(&pipe)]);
        assert_eq!(reader.join().unwrap().lines().count(), 12);
    });
    assert!(!fs::symlink_metadata(&pipe).unwrap().is_file());

    symlink("/dev/null", at("null")).unwrap();
    out(home, &["pairs", &project, "--out", &path(&at("null"))]);
    assert!(fs::symlink_metadata(at("null")).unwrap().is_symlink());
    // To standard output by its other name.
    let printed = out(home, &["pairs", &project, "--out", "/dev/stdout"]);
    assert_eq!(printed.lines().count(), 12);

    // A report goes the same ways.
    out(home, &[&["train", &project, "--steps", "1"], &SMALL[..]].concat());
    let errors = sentence(home, &["export", &project, "1", "--report", &path(&at("link"))], 1);
    assert!(errors.contains("--overwrite"), "{errors}");
    out(home, &["export", &project, "1", "--report", &path(&at("link")), "--overwrite"]);
    assert!(fs::read_to_string(at("real")).unwrap().contains("<html"));
    assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
    assert_eq!(fs::metadata(at("real")).unwrap().permissions().mode() & 0o777, 0o640);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read_to_string(&pipe).unwrap());
        out(home, &["export", &project, "1", "--report", &path(&pipe)]);
        assert!(reader.join().unwrap().contains("<html"));
    });
    out(home, &["export", &project, "1", "--report", &path(&at("null"))]);
    assert!(fs::symlink_metadata(at("null")).unwrap().is_symlink());
}

#[test]
fn dl20_nothing_to_write_replaces_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let empty = path(&home.join("empty"));
    Project::create(Path::new(&empty), &ProjectSettings::default()).unwrap();
    let file = home.join("kept.jsonl");
    fs::write(&file, RECORD).unwrap();
    let errors = sentence(home, &["pairs", &empty, "--out", &path(&file), "--overwrite"], 1);
    assert!(errors.contains("Nothing was written"), "{errors}");
    assert_eq!(fs::read_to_string(&file).unwrap(), RECORD);
}

#[test]
fn dl7_dl8_a_file_that_gives_nothing_is_told_in_one_sentence() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let file = home.join("file");
    for (bytes, words) in [
        (&b"- prompt: a\n  chosen: b\n"[..], "is YAML"),
        (b"BZh91AY", "bzip2"),
        (b"\xFD7zXZ\0", "xz"),
        (b"\x28\xB5\x2F\xFD", "what is packed in it"),
        (b"\xFF\xFF\xFF\xFF\x10\0\0\0", "it breaks off"),
        (b"FEA1", "a Feather file of the first version"),
        (b"PAR1", "it breaks off"),
        (b"", "holds no records"),
        (b"\n \n", "holds no records"),
    ] {
        fs::write(&file, bytes).unwrap();
        let output = run(home, &["import", &project, &path(&file)]);
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(words), "{words}: {errors}");
        assert_eq!(errors.trim().lines().count(), 1, "{errors}");
        assert!(!errors.contains("--map"), "{errors}");
        let all = String::from_utf8_lossy(&output.stdout).lines().count();
        assert!(all <= 1, "line by line nothing is told");
    }
}

#[test]
fn dh2_import_tells_what_it_did_not_use() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let file = home.join("file.jsonl");
    fs::write(&file, "{\"instruction\":\"Translate\",\"input\":\"Haus\",\"chosen\":\"a\",\"rejected\":\"b\"}\n")
        .unwrap();
    let text = out(home, &["import", &project, &path(&file), "--map", "prompt=instruction"]);
    assert!(text.contains("the column \"input\" (1 record) was not used"), "{text}");
}

fn opened(pairs: &[&str]) -> (tempfile::TempDir, Window) {
    let dir = tempfile::tempdir().unwrap();
    let mut project = Project::create(&dir.path().join("project"), &ProjectSettings::default()).unwrap();
    let edits =
        pairs.iter().map(|text| Edit::add(Pair::new(PairId::NEW, Prompt::Text((*text).to_owned()), &["a", "b"])));
    project.apply(&Change::new("Add", edits.collect())).unwrap();
    drop(project);
    let window = Window::open(&dir.path().join("project"), Screen::Pairs);
    (dir, window)
}

fn import(window: &mut Window, file: &Path) {
    window.click_button("Import…");
    window.focus(Role::TextInput, "Import");
    window.keys(Modifiers::COMMAND, Key::A);
    window.type_text(file.to_str().unwrap());
    window.click_button("Import file");
}

fn export_to(window: &mut Window, file: &Path) {
    window.click_button("Export…");
    window.focus(Role::TextInput, "Export");
    window.keys(Modifiers::COMMAND, Key::A);
    window.type_text(file.to_str().unwrap());
    window.key(Key::Enter);
}

#[test]
fn g1_an_export_never_overwrites_what_was_imported() {
    let (dir, mut window) = opened(&[]);
    let file = dir.path().join("orig.json");
    let original = format!("[{}]", RECORD.trim());
    fs::write(&file, &original).unwrap();
    import(&mut window, &file);
    window.assert_shows("1 pair came in");
    // Import, Export, Enter: into the project, not over the file.
    window.click_button("Export…");
    window.key(Key::Enter);
    window.assert_shows("Wrote 1 pair to");
    assert_eq!(fs::read_to_string(&file).unwrap(), original);
    assert!(dir.path().join("project/exports/pairs.jsonl").is_file());
    // Named all the same: asked first, with a name that is free.
    export_to(&mut window, &file);
    window.assert_shows("orig.json is there already");
    assert_eq!(fs::read_to_string(&file).unwrap(), original);
    window.key(Key::Enter);
    assert_eq!(fs::read_to_string(&file).unwrap(), original);
    window.click_button("Write orig-2.json instead");
    assert_eq!(fs::read_to_string(&file).unwrap(), original);
    assert!(fs::read_to_string(dir.path().join("orig-2.json")).unwrap().contains("\"good\""));
    export_to(&mut window, &file);
    window.click_button("Replace orig.json");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("[\n{}\n]\n", RECORD.trim()));
    assert!(!dir.path().join("orig.part").exists());
}

#[test]
fn g17_a_table_comes_in_as_any_file() {
    let (dir, mut window) = opened(&["p"]);
    let file = dir.path().join("pairs.csv");
    fs::write(&file, "prompt,chosen,rejected\na,b,c\nd,e\n").unwrap();
    import(&mut window, &file);
    window.assert_shows("CSV, read as TRL");
    window.assert_shows("Line 3  left out: the row has 2 cells, the header 3");
    window.assert_shows("1 of 2 labelled");
    window.click_button("Save report");
    let saved = dir.path().join("project/imports/pairs.csv.report.jsonl");
    window.until("the report is written", |_| saved.exists());
    let report = fs::read_to_string(&saved).unwrap();
    assert!(report.contains("\"line\":3,\"what\":\"left out\",\"reason\":\"the row has 2 cells"), "{report}");
}

#[test]
fn g18_texts_and_conversations_are_both_written() {
    let (dir, mut window) = opened(&["unlabelled"]);
    let file = dir.path().join("mixed.jsonl");
    fs::write(&file, format!("{RECORD}{CHAT}{CHAT}")).unwrap();
    import(&mut window, &file);
    export_to(&mut window, &dir.path().join("out.jsonl"));
    window.assert_shows("out.text.jsonl and 2 conversations to");
    window.assert_shows("left out 1 without a better and a worse answer");
    assert_eq!(fs::read_to_string(dir.path().join("out.text.jsonl")).unwrap().lines().count(), 1);
    assert_eq!(fs::read_to_string(dir.path().join("out.chat.jsonl")).unwrap().lines().count(), 2);
}
