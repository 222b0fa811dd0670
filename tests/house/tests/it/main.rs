//! The rules of the house, each as a test that names what breaks it.
//!
//! A rule is a function from the text that it judges to its complaints, so
//! that it is tested on a text that breaks it before it is put to the project.

#![forbid(unsafe_code)]

mod dependencies;
mod documents;
mod floors;
mod sources;
mod tracked;

/// Fails with all complaints at once: one run of the test shows all there is
/// to mend.
#[track_caller]
fn no_complaints(complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "the house is untidy:\n  {}\n",
        complaints.join("\n  ")
    );
}
