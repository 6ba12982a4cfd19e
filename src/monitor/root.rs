use super::{Answer, Context, ENDPOINTS, Params};

/// `/`: links to the endpoints, relative, so that they work behind any path.
pub(super) fn root(context: &Context, _: &Params) -> Answer {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head><title>natsd</title></head>\n<body style=\"font-family: sans-serif\">\n",
    );
    page += &format!("<h1>natsd {}</h1>\n<ul>\n", env!("CARGO_PKG_VERSION"));
    for endpoint in ENDPOINTS.iter().filter(|endpoint| !endpoint.title.is_empty()) {
        // A page at the base path itself has that path's last part as its own name.
        let base = context.base_path.rsplit_once('/').map_or(String::new(), |(_, last)| format!("{last}/"));
        let name = endpoint.path.trim_start_matches('/');
        page += &format!("<li><a href=\"./{base}{name}\">{}</a> /{name}</li>\n", endpoint.title);
    }
    page += "</ul>\n</body>\n</html>\n";
    Answer::html(page)
}
