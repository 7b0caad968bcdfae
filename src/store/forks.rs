//! Forks: runs that go on from a checkpoint of another one, and the tree that they make.

use rusqlite::{Transaction, params};

use super::{
    LeftOut, NewRun, Project, RunId, RunRecord,
    project::{Keep, Result, now_ms},
    runs::{BY_STEP, existing},
};

impl Project {
    /// Records a fork of `new.parent` at a step: with all that the parent had measured, said and logged up to it, on
    /// its reference answers, its arithmetic and its day. Its checkpoint is for whoever forks to bring. The run stands
    /// as one that was stopped there.
    pub fn fork_run(&mut self, new: &NewRun, at: u64, left_out: Option<&LeftOut>) -> Result<RunId> {
        let left_out = left_out.map(serde_json::to_string).transpose()?;
        let NewRun { name, config_toml, method, revision, parent } = new;
        let id = self.write(Keep::PowerLoss, |tx| {
            let made = tx.execute(
                "INSERT INTO runs (name, method, status, created_ms, config_toml, revision, parent, parent_step, left_out,
                     reference_set, retention_set, arithmetic, total_steps, day_ms)
                 SELECT ?2, ?3, 'stopped', ?4, ?5, ?6, id, ?7, ?8,
                     reference_set, retention_set, arithmetic, total_steps, coalesce(day_ms, created_ms)
                 FROM runs WHERE id = ?1",
                params![
                    parent.map(|parent| parent.0),
                    name,
                    method,
                    now_ms(),
                    config_toml,
                    revision.0 as i64,
                    at as i64,
                    left_out
                ],
            )?;
            let parent = parent.unwrap_or(RunId(0));
            existing(parent, made)?;
            let id = RunId(tx.last_insert_rowid());
            if at > 0 {
                for table in BY_STEP {
                    inherit(tx, table, parent, id, at)?;
                }
            }
            Ok(id)
        })?;
        self.write_config(id, config_toml)?;
        Ok(id)
    }
}

/// Copies a run's rows up to a step.
fn inherit(tx: &Transaction<'_>, table: &str, from: RunId, to: RunId, at: u64) -> Result<()> {
    // A row's own number is given anew.
    let columns: String = tx.query_row(
        "SELECT group_concat(name, ', ') FROM pragma_table_info(?1) WHERE name NOT IN ('id', 'run')",
        [table],
        |row| row.get(0),
    )?;
    tx.execute(
        &format!(
            "INSERT INTO {table} (run, {columns}) SELECT ?2, {columns} FROM {table} WHERE run = ?1 AND step <= ?3"
        ),
        params![from.0, to.0, at as i64],
    )?;
    Ok(())
}

/// The runs as a tree: those that are no forks in the given order, each followed by its forks, oldest first, one level
/// deeper. A fork whose parent is gone stands by itself.
pub fn family<'r>(
    records: &'r [RunRecord],
    in_order: impl Iterator<Item = &'r RunRecord>,
) -> Vec<(usize, &'r RunRecord)> {
    fn add<'r>(record: &'r RunRecord, depth: usize, records: &'r [RunRecord], out: &mut Vec<(usize, &'r RunRecord)>) {
        out.push((depth, record));
        // A parent is always older than its fork, so this ends.
        for fork in records.iter().filter(|fork| fork.parent == Some(record.id) && fork.id > record.id) {
            add(fork, depth + 1, records, out);
        }
    }
    let is_there = |parent: RunId| records.iter().any(|record| record.id == parent);
    let roots = in_order.filter(|record| record.parent.is_none_or(|parent| !is_there(parent)));
    let mut out = Vec::with_capacity(records.len());
    for root in roots {
        add(root, 0, records, &mut out);
    }
    out
}
