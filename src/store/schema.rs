//! The document's versions: one SQL step from each to the next, kept for ever.

use std::cmp::Ordering;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{contents, project::Result};

/// `PRAGMA user_version` is the number of steps a document has taken.
const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
    include_str!("schema/9.sql"),
    include_str!("schema/10.sql"),
    include_str!("schema/11.sql"),
    include_str!("schema/12.sql"),
    include_str!("schema/13.sql"),
    include_str!("schema/14.sql"),
];

/// What SQL alone cannot do.
type Work = fn(&Transaction<'_>) -> Result<()>;

/// Each is done right after the step of its number.
const AFTER: &[(usize, Work)] = &[(11, contents::pack_rows), (12, contents::seal_signatures)];

/// "NDGE": tells a project from any other SQLite file.
pub const APPLICATION_ID: i64 = 0x4e44_4745;

/// How a document compares to this program.
#[derive(Debug, PartialEq, Eq)]
pub enum Version {
    /// Up to date now.
    Current,
    /// Lacks steps that this program knows.
    Older,
    /// A SQLite file of something else.
    Foreign,
    Newer {
        found: i64,
        known: i64,
    },
}

/// How the document stands, without changing it.
pub fn version(connection: &Connection) -> rusqlite::Result<Version> {
    version_by(connection, STEPS, false)
}

/// The same of a document that goes under another id.
pub fn version_under(connection: &Connection, id: i64) -> rusqlite::Result<Version> {
    if number(connection, "application_id")? != id {
        return Ok(Version::Foreign);
    }
    age(connection, STEPS)
}

fn version_by(connection: &Connection, steps: &[&str], fresh: bool) -> rusqlite::Result<Version> {
    if !fresh && number(connection, "application_id")? != APPLICATION_ID {
        return Ok(Version::Foreign);
    }
    age(connection, steps)
}

fn age(connection: &Connection, steps: &[&str]) -> rusqlite::Result<Version> {
    let (found, known) = (number(connection, "user_version")?, steps.len() as i64);
    Ok(match found.cmp(&known) {
        Ordering::Less => Version::Older,
        Ordering::Equal => Version::Current,
        Ordering::Greater => Version::Newer { found, known },
    })
}

fn number(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Brings the document up to date, in one transaction. `fresh`: the file was just made and is empty.
pub fn upgrade(connection: &Connection, fresh: bool) -> Result<Version> {
    upgrade_by(connection, STEPS, fresh)
}

fn upgrade_by(connection: &Connection, steps: &[&str], fresh: bool) -> Result<Version> {
    let version = version_by(connection, steps, fresh)?;
    if version != Version::Older {
        return Ok(version);
    }
    // Another process may be upgrading the same file: look again once nobody else can.
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let found = number(connection, "user_version")?.max(0);
    for (number, step) in (1..).zip(steps).skip(found as usize) {
        transaction.execute_batch(step)?;
        for (_, work) in AFTER.iter().filter(|(after, _)| *after == number) {
            work(&transaction)?;
        }
    }
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    if !fresh {
        give_back(connection)?;
    }
    Ok(Version::Current)
}

/// What the steps have freed goes back to the disk, if that is much and the document can be written anew; else it is
/// used again.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    if number(connection, "freelist_count")? > number(connection, "page_count")? / 4
        && let Err(error) = connection.execute_batch("VACUUM")
    {
        tracing::info!("the document keeps the room that it has gained: {error}");
    }
    Ok(())
}

/// A new document as an older program made it.
#[cfg(test)]
pub fn upgrade_to(connection: &Connection, version: usize) -> Result<Version> {
    upgrade_by(connection, &STEPS[..version], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_taken_once_and_in_order() {
        let connection = Connection::open_in_memory().unwrap();
        let first = ["CREATE TABLE t (a); INSERT INTO t VALUES (1)"];
        assert_eq!(upgrade_by(&connection, &first, true).unwrap(), Version::Current);
        let all = [first[0], "ALTER TABLE t ADD COLUMN b DEFAULT 2", "UPDATE t SET b = a + b"];
        for _ in 0..2 {
            assert_eq!(upgrade_by(&connection, &all, false).unwrap(), Version::Current);
        }
        let b: i64 = connection.query_row("SELECT b FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(b, 3);
        assert_eq!(upgrade_by(&connection, &first, false).unwrap(), Version::Newer { found: 3, known: 1 });
    }

    #[test]
    fn a_step_that_fails_leaves_the_document_as_it_was() {
        let connection = Connection::open_in_memory().unwrap();
        upgrade_by(&connection, &["CREATE TABLE t (a)"], true).unwrap();
        let broken = ["", "ALTER TABLE t ADD COLUMN b", "ALTER TABLE missing ADD COLUMN c"];
        assert!(upgrade_by(&connection, &broken, false).is_err());
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, 1);
        assert!(connection.prepare("SELECT b FROM t").is_err(), "the column was rolled back");
    }

    #[test]
    fn another_programs_file_is_not_touched() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE theirs (a)").unwrap();
        assert_eq!(upgrade(&connection, false).unwrap(), Version::Foreign);
        assert!(connection.prepare("SELECT * FROM settings").is_err());
    }
}
