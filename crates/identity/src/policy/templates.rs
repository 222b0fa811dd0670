//! Policies that are ready to be used. They name nobody: whom they speak of is
//! the principal or the group that they are attached to.

use crate::Identity;

/// A policy that is ready to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyTemplate {
    /// What it is called.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Its text, for a principal or a group. On a repository or an account it
    /// would speak of anybody: there, put who is meant in place of `principal`.
    pub text: &'static str,
}

const TEMPLATES: [PolicyTemplate; 5] = [
    PolicyTemplate {
        name: "reader",
        description: "pulls from every repository of its account, and sees the account",
        text: include_str!("templates/reader.cedar"),
    },
    PolicyTemplate {
        name: "writer",
        description: "pulls, pushes and deletes images in every repository of its account",
        text: include_str!("templates/writer.cedar"),
    },
    PolicyTemplate {
        name: "admin",
        description: "does everything in its account: repositories, principals, policies, audit log",
        text: include_str!("templates/admin.cedar"),
    },
    PolicyTemplate {
        name: "scanner",
        description: "reads every repository of its account, and never writes, whatever else allows it",
        text: include_str!("templates/scanner.cedar"),
    },
    PolicyTemplate {
        name: "deployer",
        description: "pulls what it runs, and never writes, whatever else allows it",
        text: include_str!("templates/deployer.cedar"),
    },
];

impl Identity {
    /// The policies that are ready to be used.
    pub fn policy_templates(&self) -> &'static [PolicyTemplate] {
        &TEMPLATES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::parse;

    #[test]
    fn each_template_is_a_valid_policy_as_it_is() {
        for template in TEMPLATES {
            assert_eq!(parse::check(template.text), Ok(()), "{}", template.name);
        }
    }
}
