//! Room on the disk that models are written to.

use std::path::Path;

use sysinfo::Disks;

/// Bytes free on the disk that holds `path`; `None` where the system does not say.
pub fn free_disk_bytes(path: &Path) -> Option<u64> {
    let path = path.canonicalize().ok()?;
    Disks::new_with_refreshed_list()
        .ok()?
        .iter()
        .filter(|disk| path.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().components().count())
        .map(sysinfo::Disk::available_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_answers() {
        if cfg!(target_os = "linux") {
            assert!(free_disk_bytes(Path::new(".")).is_some());
            assert_eq!(free_disk_bytes(Path::new("/no such place")), None);
        }
    }
}
