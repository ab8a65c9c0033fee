//! Pictures as SVG, laid out in pure Rust.

use layout::backends::svg::SVGWriter;
use layout::gv::{DotParser, GraphBuilder};

use super::dot::dot;
use super::picture::Picture;

/// A picture could not be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the picture {title:?} could not be laid out: {reason}")]
pub struct SvgError {
    /// The picture's title.
    pub title: String,
    /// What the layout engine says.
    pub reason: String,
}

/// Draws a picture as an SVG document.
///
/// # Errors
/// If the layout engine does not take the picture.
pub fn svg(picture: &Picture) -> Result<String, SvgError> {
    let source = dot(picture);
    let failed = |reason| SvgError { title: picture.title.clone(), reason };
    let graph = DotParser::new(&source).process().map_err(failed)?;
    let mut builder = GraphBuilder::new();
    builder.visit_graph(&graph);
    let mut writer = SVGWriter::new();
    builder.get().do_it(false, false, false, &mut writer);
    Ok(on_white(&writer.finalize()))
}

/// Puts a white sheet behind the picture, so that it can be read on a dark page.
fn on_white(svg: &str) -> String {
    let sheet = "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<defs>";
    svg.replacen("<defs>", sheet, 1)
}
