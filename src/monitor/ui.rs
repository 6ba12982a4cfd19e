use super::{Answer, Context, Params};

/// `/ui`: one page that asks the other endpoints, relative to itself, so that it works behind any path. It changes nothing.
pub(super) fn ui(_: &Context, _: &Params) -> Answer {
    Answer::page(include_str!("ui.html").to_owned())
}

#[cfg(test)]
mod tests {
    use natsd_api::EventKind;

    const PAGE: &str = include_str!("ui.html");

    #[test]
    fn the_page_listens_to_every_kind_of_event() {
        let start = PAGE.find("const kinds = ").expect("the kinds");
        let kinds = PAGE[start..].split(';').next().expect("a statement");
        let listed: Vec<&str> = kinds.split(|c: char| !c.is_ascii_lowercase() && c != '_').collect();
        for kind in EventKind::ALL {
            assert!(listed.contains(&kind.as_str()), "{} is not listened to", kind.as_str());
        }
    }

    #[test]
    fn the_page_has_nothing_from_elsewhere_and_makes_no_html_of_what_it_is_told() {
        for wrong in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "https:", "src="] {
            assert!(!PAGE.contains(wrong), "{wrong}");
        }
        assert_eq!(PAGE.matches("http:").count(), 1, "the name of SVG alone");
    }
}
