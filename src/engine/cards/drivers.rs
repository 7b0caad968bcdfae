//! What drivers and cards this machine has, without asking any of them: from what their installers leave.

use std::{
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Where the loader of Vulkan looks for drivers on Linux and its kin.
const FOLDERS: [&str; 3] = ["/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

/// Files and folders that change with a driver or the system that brings it.
const MARKS: [&str; 3] = [
    "/sys/module/nvidia/version",
    r"C:\Windows\System32\DriverStore\FileRepository",
    "/System/Library/CoreServices/SystemVersion.plist",
];

/// What has the loader look elsewhere or at some drivers only.
const VARIABLES: [&str; 4] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES", "MESA_VK_DEVICE_SELECT"];

/// One line for everything that decides which cards there are and how they compute. Other lines, other cards.
pub fn installed() -> Vec<String> {
    let own = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".local/share"))
    });
    let mut folders: Vec<PathBuf> = FOLDERS.map(PathBuf::from).to_vec();
    folders.extend(own.map(|own| own.join("vulkan/icd.d")));
    let set = |name: &&str| std::env::var(name).ok().map(|value| format!("{name}={value}"));
    let mut lines: Vec<String> = VARIABLES.iter().filter_map(set).collect();
    lines.extend(folders.iter().flat_map(|folder| drivers_in(folder)));
    lines.extend(MARKS.iter().filter_map(|mark| line(Path::new(mark))));
    lines.extend(cards_in(Path::new("/sys/class/drm")));
    lines
}

/// A file, and when it was last written.
fn line(path: &Path) -> Option<String> {
    let written = fs::metadata(path).and_then(|about| about.modified()).ok()?;
    let seconds = written.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Some(format!("{} {seconds}", path.display()))
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The drivers of a folder of manifests, each with its library, which is what changes with an update.
fn drivers_in(folder: &Path) -> Vec<String> {
    let manifests = sorted(folder).into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "json"));
    let told = manifests.flat_map(|manifest| {
        let library = library(&manifest).and_then(|library| line(&library));
        line(&manifest).into_iter().chain(library)
    });
    told.collect()
}

/// The library that a manifest names; one without a folder is the system's.
fn library(manifest: &Path) -> Option<PathBuf> {
    let text = files::read_text(manifest, files::SETTINGS).ok()?;
    let manifest: serde_json::Value = serde_json::from_str(&text).ok()?;
    let named = Path::new(manifest.pointer("/ICD/library_path")?.as_str()?).to_owned();
    let folders = ["", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    folders.iter().map(|folder| Path::new(folder).join(&named)).find(|path| path.is_absolute() && path.exists())
}

/// Maker and model of each card that the kernel of Linux has bound.
fn cards_in(folder: &Path) -> Vec<String> {
    let read = |card: &Path, what: &str| fs::read_to_string(card.join("device").join(what)).ok();
    let told = sorted(folder).into_iter().filter_map(|card| {
        let (vendor, device) = (read(&card, "vendor")?, read(&card, "device")?);
        let name = card.file_name()?.to_string_lossy().into_owned();
        // Connectors, such as card0-HDMI-A-1, come and go with screens.
        (!name.contains('-')).then(|| format!("{name} {}:{}", vendor.trim(), device.trim()))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn another_driver_or_another_version_of_one_is_another_list() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("libvulkan_x.so");
        fs::write(&library, "1").unwrap();
        let manifest = format!(r#"{{"ICD": {{"library_path": {library:?}, "api_version": "1.3"}}}}"#);
        fs::write(dir.path().join("x.json"), manifest).unwrap();
        let before = drivers_in(dir.path());
        assert_eq!(before.len(), 2, "{before:?}");
        assert_eq!(drivers_in(dir.path()), before);

        let later = SystemTime::now() + Duration::from_hours(1);
        fs::File::options().write(true).open(&library).unwrap().set_modified(later).unwrap();
        let updated = drivers_in(dir.path());
        assert!(updated != before && updated.len() == 2, "{updated:?}");

        // One that names no library that is there is told all the same.
        fs::write(dir.path().join("y.json"), "{").unwrap();
        assert_eq!(drivers_in(dir.path()).len(), 3);
        assert!(drivers_in(&dir.path().join("nowhere")).is_empty());
    }

    #[test]
    fn cards_are_told_by_maker_and_model_and_screens_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for (name, device) in [("card0", "0x1234\n"), ("card0-DP-1", "0x1234\n"), ("card1", "0x5678\n")] {
            let folder = dir.path().join(name).join("device");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("vendor"), "0x10de\n").unwrap();
            fs::write(folder.join("device"), device).unwrap();
        }
        assert_eq!(cards_in(dir.path()), ["card0 0x10de:0x1234", "card1 0x10de:0x5678"]);
    }
}
