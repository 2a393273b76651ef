//! Apply, confirm, take back. Whoever calls holds the folder's lock.

use super::ApplyError;
use super::ours::{self, Ours};
use super::sets;
use super::state::{Folder, Generation, Lock, State};
use super::trial::Tried;
use crate::policy::prove::Backend;

/// A policy that was tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where.
    pub backend: Backend,
    /// The file.
    pub text: String,
    /// What came of the trial.
    pub tried: Tried,
    /// What was in force then.
    pub before: Ours,
    /// Its name, in words.
    pub what: String,
    /// When it is to be taken back unless somebody confirms it, in seconds since 1970.
    pub until: Option<i64>,
}

/// A policy that is in force.
#[derive(Clone, Copy, Debug)]
pub struct Applied {
    /// Its number.
    pub number: u64,
    /// Whether everybody else's rules are the same as before. If not, somebody has changed them in the meantime.
    pub others_same: bool,
}

/// Loads a policy. `arm` is called when all is written down and nothing is loaded yet: whoever takes the policy back must be
/// there before, since it may cut the line that this was typed on.
pub fn apply(
    folder: &Folder,
    _held: &Lock,
    state: &mut State,
    candidate: Candidate,
    arm: impl FnOnce(u64) -> Result<(), ApplyError>,
) -> Result<Applied, ApplyError> {
    let backend = candidate.backend;
    let others = ours::fingerprint(backend)?;
    let unchanged = state.clone();
    let number = state.push(Generation {
        number: 0,
        backend,
        applied_at: jiff::Timestamp::now().as_second(),
        what: candidate.what.clone(),
        text: candidate.text,
        wanted: candidate.tried.wanted.clone(),
        before: candidate.before,
        until: candidate.until,
    });
    state.note(format!("policy {number} was applied: {}", candidate.what));
    folder.store(state)?;
    let loaded = arm(number).and_then(|()| match &candidate.tried.wanted {
        Ours::Nftables(_) => ours::load(&candidate.tried.load),
        wanted @ Ours::Xtables { .. } if candidate.tried.counts_on => {
            ours::replace_counting(backend, wanted)
                .and_then(|()| sets::empty(&candidate.tried.outgrown))
        }
        wanted @ Ours::Xtables { .. } => ours::replace(backend, wanted),
    });
    if let Err(error) = loaded {
        // Whoever watches over it sees that there is nothing to watch over.
        *state = unchanged;
        folder.store(state)?;
        return Err(error);
    }
    Ok(Applied {
        number,
        others_same: ours::fingerprint(backend)? == others,
    })
}

/// Keeps the policy that waits to be confirmed.
pub fn confirm(folder: &Folder, _held: &Lock) -> Result<u64, ApplyError> {
    let mut state = folder.load()?;
    let waiting = state
        .generations
        .last_mut()
        .filter(|generation| generation.until.is_some());
    let Some(generation) = waiting else {
        let last = state.last.map_or_else(
            || "nothing was applied".to_owned(),
            |note| format!("the last thing that happened: {}", note.what),
        );
        return Err(ApplyError::Nothing(format!(
            "no policy waits to be confirmed; {last}"
        )));
    };
    generation.until = None;
    let number = generation.number;
    state.note(format!("policy {number} was confirmed"));
    folder.store(&state)?;
    Ok(number)
}

/// Takes the last policy back: what was in force before it is in force again.
pub fn undo(folder: &Folder, _held: &Lock) -> Result<Generation, ApplyError> {
    let mut state = folder.load()?;
    let Some(generation) = state.generations.pop() else {
        return Err(ApplyError::Nothing(
            "there is nothing to take back: no policy was applied by `imwarden apply`, or all were taken back. \
             `imwarden undo --all` takes away what was loaded in other ways"
                .to_owned(),
        ));
    };
    ours::take_back(generation.backend, &generation.before)?;
    state.note(format!("policy {} was taken back", generation.number));
    folder.store(&state)?;
    Ok(generation)
}

/// The same for a policy that nobody has confirmed in time. Says whether there was one.
pub fn roll_back(folder: &Folder, number: u64) -> Result<bool, ApplyError> {
    let mut state = folder.load()?;
    let waits = state
        .current()
        .is_some_and(|now| now.number == number && now.until.is_some());
    if !waits {
        return Ok(false);
    }
    let Some(generation) = state.generations.pop() else {
        return Ok(false);
    };
    let back = ours::take_back(generation.backend, &generation.before);
    let how = match &back {
        Ok(()) if generation.before.is_none() => "nothing of ours is loaded now".to_owned(),
        Ok(()) => "the policy before it is in force again".to_owned(),
        Err(error) => {
            // Better open than locked out.
            ours::remove(generation.backend)?;
            format!(
                "what was there before could not be loaded ({error}), so that nothing of ours is loaded now"
            )
        }
    };
    state.note(format!(
        "policy {number} was taken back because nobody confirmed it in time; {how}"
    ));
    folder.store(&state)?;
    Ok(true)
}
