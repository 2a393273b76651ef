//! Who the process is, once it needs no rights any more.

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::{self, Gid, Uid};

/// Whom root becomes, if nobody says otherwise: the first of these that exists.
const UNPRIVILEGED: [&str; 2] = ["imwarden", "nobody"];
/// Whom, where no name exists, as in a container without /etc/passwd: nobody, by the number it has everywhere.
const NOBODY: u32 = 65534;

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

    fn of(account: unistd::User, asked: bool) -> Self {
        Self {
            name: account.name,
            uid: account.uid,
            gid: account.gid,
            asked,
        }
    }

    /// One that need not be known to the system.
    fn numbered(uid: u32, gid: u32, asked: bool) -> Self {
        Self {
            name: uid.to_string(),
            uid: uid.into(),
            gid: gid.into(),
            asked,
        }
    }
}

/// Whom to become: who was asked for, or somebody without rights where the process is root. `None`: stay who you are.
pub fn choose(asked: Option<&str>) -> Result<Option<User>, String> {
    let user = match asked {
        Some(name) => wanted(name)?,
        None if unistd::geteuid().is_root() => anybody(),
        None => return Ok(None),
    };
    Ok(Some(user).filter(|user| user.uid != unistd::geteuid()))
}

/// A name, a number, or two: `imwarden`, `65534`, `65534:65534`.
fn wanted(name: &str) -> Result<User, String> {
    let (uid, gid) = name.split_once(':').unwrap_or((name, name));
    if let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) {
        return Ok(User::numbered(uid, gid, true));
    }
    let hint = "a number works as well, where no names are known: --user 65534";
    match unistd::User::from_name(name) {
        Ok(Some(account)) => Ok(User::of(account, true)),
        Ok(None) => Err(format!("--user: there is no user {name}; {hint}")),
        Err(error) => Err(format!("--user: cannot look up {name}: {error}; {hint}")),
    }
}

fn anybody() -> User {
    // Where names cannot be looked up, there are none.
    let mut accounts = UNPRIVILEGED
        .iter()
        .filter_map(|name| unistd::User::from_name(name).ok().flatten());
    accounts.next().map_or_else(
        || User::numbered(NOBODY, NOBODY, false),
        |account| User::of(account, false),
    )
}

/// Becomes that user, all threads of the process, for good. What could not be done is told.
pub fn become_user(user: &User) -> Result<Option<String>, String> {
    let missing: Vec<&str> = [
        (Capability::CAP_SETUID, "SETUID"),
        (Capability::CAP_SETGID, "SETGID"),
    ]
    .into_iter()
    .filter(|(right, _)| !caps::has_cap(None, CapSet::Effective, *right).unwrap_or(false))
    .map(|(_, name)| name)
    .collect();
    let changed = unistd::setgroups(&[user.gid])
        .and_then(|()| unistd::setresgid(user.gid, user.gid, user.gid))
        .and_then(|()| unistd::setresuid(user.uid, user.uid, user.uid));
    let name = &user.name;
    match changed {
        Ok(()) => Ok(None),
        Err(_) if !missing.is_empty() => {
            let rights = missing.join(" and CAP_");
            let options = missing.join(" --cap-add ");
            let told = format!(
                "the right to become user {name} is missing (CAP_{rights}; in a container: --cap-add {options})"
            );
            if user.asked {
                Err(told)
            } else {
                Ok(Some(format!(
                    "{told}: staying the same user, without rights"
                )))
            }
        }
        // A user namespace in which there is root and nobody else.
        Err(Errno::EINVAL | Errno::EPERM) if !user.asked => Ok(Some(format!(
            "user {name} does not exist in this user namespace: staying the same user, without rights"
        ))),
        Err(error) => Err(format!("cannot become user {name}: {error}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::wanted;

    #[test]
    fn a_user_may_be_a_number() {
        let ids = |name: &str| wanted(name).map(|it| (it.uid.as_raw(), it.gid.as_raw()));
        assert_eq!(ids("65534"), Ok((65534, 65534)));
        assert_eq!(ids("1000:100"), Ok((1000, 100)));
        assert_eq!(ids("root"), Ok((0, 0)));
        for wrong in ["", "-1", "1000:", ":100", "1000:users", "4294967296"] {
            assert!(
                wanted(wrong).unwrap_err().contains("--user 65534"),
                "{wrong}"
            );
        }
    }
}
