//! Users and groups of an image, from the sysusers.d(5) files of its packages.
//!
//! systemd-sysusers would create them at boot and write to /etc. Here they are created when the image is composed:
//! files of packages can belong to them, and /etc/passwd and /etc/group are part of the verified root. Nobody logs in,
//! so there are no passwords and no /etc/shadow.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::ImageError;
use crate::payload::Extracted;

/// Folder in which packages declare users and groups.
pub(crate) const FOLDER: &str = "/usr/lib/sysusers.d/";
/// Highest UID or GID that is assigned to an account without a fixed one; further ones count down from it.
const FIRST_FREE: u32 = 999;
const NOLOGIN: &str = "/usr/bin/nologin";

/// Users and groups by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accounts {
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    id: u32,
    group: u32,
    about: String,
    home: String,
    shell: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    id: u32,
    members: BTreeSet<String>,
}

/// Accounts as sysusers.d declares them, before UIDs and GIDs are assigned.
#[derive(Default)]
struct Wishes {
    users: BTreeMap<String, Wish>,
    groups: BTreeMap<String, Option<u32>>,
    members: BTreeMap<String, BTreeSet<String>>,
}

struct Wish {
    id: Option<u32>,
    group: PrimaryGroup,
    about: String,
    home: String,
    shell: String,
}

enum PrimaryGroup {
    OfItsName,
    Named(String),
    Numbered(u32),
}

impl Accounts {
    /// Creates the accounts that packages declare, and root and nobody. Of several declarations of a name, the first
    /// counts.
    ///
    /// # Errors
    /// When a line cannot be parsed, when two users or two groups have the same number.
    pub(crate) fn from_sysusers(files: &[Extracted]) -> Result<Self, ImageError> {
        let mut wishes = Wishes::default();
        wishes.user("root", Some(0), PrimaryGroup::OfItsName, "Super User", "/root");
        wishes.user(
            "nobody",
            Some(65534),
            PrimaryGroup::OfItsName,
            "Kernel Overflow User",
            "/",
        );
        for file in files.iter().filter(|file| file.path.starts_with(FOLDER)) {
            let text = String::from_utf8_lossy(&file.content);
            for (number, line) in text.lines().enumerate() {
                wishes.line(line).map_err(|why| ImageError::Accounts {
                    package: file.package.clone(),
                    file: file.path.clone(),
                    line: number + 1,
                    why,
                })?;
            }
        }
        let accounts = wishes.grant();
        check_numbers("users", accounts.users.iter().map(|(name, user)| (name, user.id)))?;
        check_numbers("groups", accounts.groups.iter().map(|(name, group)| (name, group.id)))?;
        Ok(accounts)
    }

    pub(crate) fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).map(|user| user.id)
    }

    pub(crate) fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).map(|group| group.id)
    }

    /// Returns the text of /etc/passwd.
    pub(crate) fn passwd(&self) -> String {
        let mut users: Vec<_> = self.users.iter().collect();
        users.sort_by_key(|(name, user)| (user.id, *name));
        users.into_iter().fold(String::new(), |mut text, (name, user)| {
            let User {
                id,
                group,
                about,
                home,
                shell,
            } = user;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}:x:{id}:{group}:{about}:{home}:{shell}");
            text
        })
    }

    /// Returns the text of /etc/group.
    pub(crate) fn group_file(&self) -> String {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(name, group)| (group.id, *name));
        groups.into_iter().fold(String::new(), |mut text, (name, group)| {
            let members: Vec<_> = group.members.iter().map(String::as_str).collect();
            let _ = writeln!(text, "{name}:x:{}:{}", group.id, members.join(","));
            text
        })
    }
}

impl Wishes {
    fn user(&mut self, name: &str, id: Option<u32>, group: PrimaryGroup, about: &str, home: &str) {
        let shell = NOLOGIN.to_owned();
        let wish = Wish {
            id,
            group,
            about: about.to_owned(),
            home: home.to_owned(),
            shell,
        };
        self.users.insert(name.to_owned(), wish);
    }

    /// Parses one line of sysusers.d. Earlier declarations of a name are kept, as systemd does.
    fn line(&mut self, line: &str) -> Result<(), String> {
        let fields = fields(line)?;
        let field = |index: usize| fields.get(index).map(String::as_str).filter(|field| *field != "-");
        let Some(kind) = field(0) else { return Ok(()) };
        let name = field(1).ok_or("a name is missing")?;
        match kind.trim_end_matches(['!', '+']) {
            "u" => {
                let (id, group) = ids(field(2))?;
                if !self.users.contains_key(name) {
                    let wish = Wish {
                        id,
                        group,
                        about: field(3).unwrap_or_default().replace(':', " "),
                        home: field(4).unwrap_or("/").to_owned(),
                        shell: field(5).unwrap_or(NOLOGIN).to_owned(),
                    };
                    self.users.insert(name.to_owned(), wish);
                }
            }
            "g" => {
                let id = field(2).map(number).transpose()?;
                self.groups.entry(name.to_owned()).or_insert(id);
            }
            "m" => {
                let group = field(2).ok_or("the group is missing")?;
                self.members
                    .entry(group.to_owned())
                    .or_default()
                    .insert(name.to_owned());
            }
            "r" => {}
            other => return Err(format!("`{other}` is not a kind of line")),
        }
        Ok(())
    }

    /// Assigns UIDs and GIDs: declared ones first, then free ones in the order of names.
    fn grant(mut self) -> Accounts {
        for group in self.members.keys() {
            self.groups.entry(group.clone()).or_insert(None);
        }
        for (name, user) in &self.users {
            match &user.group {
                PrimaryGroup::OfItsName => {
                    let group = self.groups.entry(name.clone()).or_insert(user.id);
                    *group = group.or(user.id);
                }
                PrimaryGroup::Named(group) => drop(self.groups.entry(group.clone()).or_insert(None)),
                PrimaryGroup::Numbered(_) => {}
            }
        }
        let mut taken: BTreeSet<u32> = self.users.values().filter_map(|user| user.id).collect();
        taken.extend(self.groups.values().flatten());
        let mut next = FIRST_FREE;
        let mut free = || {
            while taken.contains(&next) {
                next -= 1;
            }
            taken.insert(next);
            next
        };
        // A user and the group of the same name share a number.
        let mut groups = BTreeMap::new();
        for (name, id) in &self.groups {
            let id = id.unwrap_or_else(&mut free);
            let members = self.members.remove(name).unwrap_or_default();
            groups.insert(name.clone(), Group { id, members });
        }
        let mut users = BTreeMap::new();
        for (name, wish) in self.users {
            let of_its_name = groups.get(&name).map(|group: &Group| group.id);
            let (id, group) = match &wish.group {
                PrimaryGroup::OfItsName => {
                    let group = of_its_name.unwrap_or(FIRST_FREE);
                    (wish.id.unwrap_or(group), group)
                }
                PrimaryGroup::Named(named) => {
                    let group = groups.get(named).map_or(FIRST_FREE, |group| group.id);
                    (wish.id.unwrap_or_else(&mut free), group)
                }
                PrimaryGroup::Numbered(group) => (wish.id.unwrap_or_else(&mut free), *group),
            };
            users.insert(
                name,
                User {
                    id,
                    group,
                    about: wish.about,
                    home: wish.home,
                    shell: wish.shell,
                },
            );
        }
        Accounts { users, groups }
    }
}

/// Checks that no two accounts of a kind have the same number: each could read what belongs to the other.
fn check_numbers<'a>(kind: &'static str, accounts: impl Iterator<Item = (&'a String, u32)>) -> Result<(), ImageError> {
    let mut holders: BTreeMap<u32, &String> = BTreeMap::new();
    for (name, number) in accounts {
        if let Some(other) = holders.insert(number, name) {
            return Err(ImageError::SharedNumber {
                kind,
                first: other.clone(),
                second: name.clone(),
                number,
            });
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

/// Parses `-`, `UID`, `UID:GID` or `UID:GROUP`, where UID may be `-`.
fn ids(field: Option<&str>) -> Result<(Option<u32>, PrimaryGroup), String> {
    let Some(field) = field else {
        return Ok((None, PrimaryGroup::OfItsName));
    };
    let (id, group) = match field.split_once(':') {
        None => (field, PrimaryGroup::OfItsName),
        Some((id, group)) => match group.parse() {
            Ok(number) => (id, PrimaryGroup::Numbered(number)),
            Err(_) => (id, PrimaryGroup::Named(group.to_owned())),
        },
    };
    let id = if id == "-" { None } else { Some(number(id)?) };
    Ok((id, group))
}

/// Splits a line into fields: separated by white space, in quotes if they contain some. Comments have no fields.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line.trim();
    if rest.starts_with('#') {
        return Ok(fields);
    }
    while !rest.is_empty() {
        let mut letters = rest.chars();
        let (field, after) = match letters.next() {
            Some(quote @ ('"' | '\'')) => letters
                .as_str()
                .split_once(quote)
                .ok_or_else(|| format!("a {quote} is missing at the end of a field"))?,
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        fields.push(field.to_owned());
        rest = after.trim_start();
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(text: &str) -> Result<Accounts, ImageError> {
        Accounts::from_sysusers(&[Extracted {
            package: "example".to_owned(),
            path: "/usr/lib/sysusers.d/example.conf".to_owned(),
            content: text.as_bytes().to_vec(),
        }])
    }

    #[test]
    fn passwd_and_group_follow_from_sysusers() {
        let text = "# Who is there\n\
                    u root 0 \"Super User\" /root /usr/bin/sh\n\
                    g tty 5 - -\n\
                    u! chrony 190 \"Keeps the clock\" /var/lib/chrony\n\
                    u dbus 81 'System message bus'\n\
                    u  any\t- \"Whoever\"\n\
                    g render -\n\
                    u worker -:tty - /srv\n\
                    u fixed 300:65534\n\
                    m any render\n\
                    r - 500-900\n";
        let accounts = accounts(&text.replace("r - ", "r x ")).expect("understood");
        insta::assert_snapshot!(accounts.passwd() + "---\n" + &accounts.group_file());
        assert_eq!(accounts.user("chrony"), Some(190));
        assert_eq!(accounts.group("any"), accounts.user("any"));
        assert_eq!(accounts.user("stranger"), None);
    }

    #[test]
    fn a_wrong_line_says_where() {
        let error = accounts("g tty 5\nu chrony one-ninety\n")
            .expect_err("wrong")
            .to_string();
        assert_eq!(
            error,
            "/usr/lib/sysusers.d/example.conf of the package example, line 2: `one-ninety` is not a number"
        );
        assert!(accounts("u \"half").is_err());
        assert!(accounts("x what 1").is_err());
    }

    #[test]
    fn a_number_belongs_to_one_account() {
        for (text, expected) in [
            (
                "u chrony 190\nu ntp 190:190\n",
                "the users `chrony` and `ntp` have the same number, 190",
            ),
            ("u toor 0:0\n", "the users `root` and `toor` have the same number, 0"),
            (
                "g tty 5\ng console 5\n",
                "the groups `console` and `tty` have the same number, 5",
            ),
            // The number of the group of its name is taken over by a user without one.
            (
                "g any 300\nu any -\nu fixed 300:5\n",
                "the users `any` and `fixed` have the same number, 300",
            ),
        ] {
            let error = accounts(text).expect_err(text);
            assert_eq!(error.to_string(), expected, "{text}");
        }
        // A user and a group are two things, and a second declaration of a name adds nothing.
        for text in ["u chrony 190:5\ng tty 190\n", "u chrony 190\nu chrony 190\n"] {
            assert!(accounts(text).is_ok(), "{text}");
        }
    }
}
