//! Which numbers are known: clients before 2009, and commands that two sources name.

/// What a client before 2009 is called by its number; later ones are told by other means.
const VERSIONS: [(u16, Option<&str>); 30] = [
    (0x05a5, None),
    (0x062e, Some("QQ 2000")),
    (0x072e, Some("QQ 2000")),
    (0x0801, Some("QQ 2000")),
    (0x0a1d, Some("QQ 2003")),
    (0x0b07, Some("QQ 2003")),
    (0x0b2f, Some("QQ 2003")),
    (0x0b35, Some("QQ 2003")),
    (0x0b37, Some("QQ 2003")),
    (0x0c0b, Some("QQ 2004")),
    (0x0c0d, Some("QQ 2004")),
    (0x0c21, Some("QQ 2004")),
    (0x0c49, Some("QQ 2004")),
    (0x0d05, Some("QQ 2005")),
    (0x0d51, Some("QQ 2005")),
    (0x0d55, Some("QQ 2005")),
    (0x0d61, Some("QQ 2005")),
    (0x0e1b, Some("QQ 2005")),
    (0x0e35, Some("QQ 2005")),
    (0x0f15, Some("QQ 2006")),
    (0x0f4b, Some("QQ 2006")),
    (0x0f5f, Some("QQ 2006")),
    (0x1105, Some("QQ 2007")),
    (0x111d, Some("QQ 2007")),
    (0x115b, Some("QQ 2008")),
    (0x1203, Some("QQ 2008")),
    (0x1205, Some("QQ 2008")),
    (0x120b, Some("QQ 2008")),
    (0x1412, Some("QQ for Mac 1.0")),
    (0x1441, Some("QQ 2009")),
];

/// What servers put where clients have their version.
pub(super) const SERVER: u16 = 0x0100;

/// From here on the password is checked otherwise.
pub(super) const OF_2007: u16 = 0x1105;

/// Whether a client of before 2009 has this version.
pub(super) fn is_version(version: u16) -> bool {
    VERSIONS.iter().any(|(known, _)| *known == version)
}

/// What the client says that it is.
pub(super) fn client(version: u16, is_tim: bool) -> String {
    let known = VERSIONS.iter().find(|(known, _)| *known == version);
    let name = match known {
        Some((_, Some(name))) => name,
        _ if is_tim => "TIM",
        _ => "QQ",
    };
    format!("{name} (0x{version:04x})")
}

/// Commands that are told apart here. Some numbers changed their meaning in 2009.
pub(super) mod command {
    /// Before 2009.
    pub const LOGOUT: u16 = 0x0001;
    pub const CHANGE_STATUS: u16 = 0x000d;
    pub const SEND_MESSAGE: u16 = 0x0016;
    pub const RECEIVE_MESSAGE: u16 = 0x0017;
    pub const LOGIN: u16 = 0x0022;
    pub const FRIEND_LIST: u16 = 0x0026;
    pub const TOKEN: u16 = 0x0062;
    /// Then and now.
    pub const FRIENDS_ONLINE: u16 = 0x0027;
    pub const PASSWORD: u16 = 0x00dd;
    /// Since 2009.
    pub const LATE_LOGOUT: u16 = 0x0062;
    pub const LATE_SEND_MESSAGE: u16 = 0x00cd;
    pub const LATE_RECEIVE_MESSAGE: u16 = 0x00ce;
    pub const LATE_CHANGE_STATUS: u16 = 0x00ec;
    pub const LATE_LOGIN: u16 = 0x0836;
}

/// Whether it is a command of before 2009.
pub(super) const fn is_command(command: u16) -> bool {
    matches!(
        command,
        0x0001
            | 0x0002
            | 0x0004..=0x0006
            | 0x0009..=0x000b
            | 0x000d
            | 0x0012
            | 0x0016
            | 0x0017
            | 0x001c
            | 0x001d
            | 0x0021
            | 0x0022
            | 0x0026
            | 0x0027
            | 0x0029
            | 0x0030
            | 0x0031
            | 0x003c..=0x003e
            | 0x0058
            | 0x005c
            | 0x0062
            | 0x0065
            | 0x0067
            | 0x0080
            | 0x0081
            | 0x0091
            | 0x00a7
            | 0x00a8
            | 0x00ae
            | 0x00b5
            | 0x00b7
            | 0x00ba
            | 0x00dd
            | 0x00e5
    )
}
