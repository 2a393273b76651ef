//! Who the process is, once it needs no rights any more.

use nix::errno::Errno;
use nix::unistd::{self, Gid, Uid};

/// Whom root becomes, if nobody says otherwise: the first of these that exists.
const UNPRIVILEGED: [&str; 2] = ["imwarden", "nobody"];

/// A user, and whether somebody asked for it.
#[derive(Clone, Debug)]
pub struct User {
    name: String,
    uid: Uid,
    gid: Gid,
    asked: bool,
}

impl User {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Whom to become: who was asked for, or somebody without rights where the process is root. `None`: stay who you are.
pub fn choose(asked: Option<&str>) -> Result<Option<User>, String> {
    let find = |name: &str| {
        unistd::User::from_name(name)
            .map_err(|error| format!("cannot look up user {name}: {error}"))
    };
    let is_root = unistd::geteuid().is_root();
    let (found, asked) = match asked {
        Some(name) => {
            let found = find(name)?.ok_or_else(|| format!("--user: there is no user {name}"))?;
            (Some(found), true)
        }
        None if is_root => {
            let mut found = None;
            for name in UNPRIVILEGED {
                if found.is_none() {
                    found = find(name)?;
                }
            }
            (found, false)
        }
        None => return Ok(None),
    };
    Ok(found
        .filter(|user| user.uid != unistd::geteuid())
        .map(|user| User {
            name: user.name,
            uid: user.uid,
            gid: user.gid,
            asked,
        }))
}

/// Becomes that user, all threads of the process, for good. What could not be done is told.
pub fn become_user(user: &User) -> Result<Option<String>, String> {
    let changed = unistd::setgroups(&[user.gid])
        .and_then(|()| unistd::setresgid(user.gid, user.gid, user.gid))
        .and_then(|()| unistd::setresuid(user.uid, user.uid, user.uid));
    match changed {
        Ok(()) => Ok(None),
        // A user namespace in which there is root and nobody else.
        Err(Errno::EINVAL | Errno::EPERM) if !user.asked => Ok(Some(format!(
            "user {} does not exist in this user namespace: staying the same user, without rights",
            user.name
        ))),
        Err(error) => Err(format!("cannot become user {}: {error}", user.name)),
    }
}
