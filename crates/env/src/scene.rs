//! Pictures as plain data: shapes in the world's own coordinates. Turning one into pixels or terminal
//! text is the `render` feature's business.

/// Red, green and blue.
pub type Rgb = [u8; 3];

/// A point, x to the right and y upwards.
pub type Point = [f64; 2];

/// The usual ink.
pub const BLACK: Rgb = [0, 0, 0];
/// The usual paper.
pub const WHITE: Rgb = [255, 255, 255];

/// One shape of a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A filled polygon.
    Polygon {
        /// Its corners in order.
        points: Vec<Point>,
        /// Its colour.
        color: Rgb,
    },
    /// A line through several points.
    Line {
        /// The points in order.
        points: Vec<Point>,
        /// Its width, in the world's units.
        width: f64,
        /// Its colour.
        color: Rgb,
    },
    /// A filled circle.
    Circle {
        /// Its centre.
        center: Point,
        /// Its radius.
        radius: f64,
        /// Its colour.
        color: Rgb,
    },
}

/// A picture of an environment's state: later shapes lie over earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The visible part of the world: smallest and largest x.
    pub x: [f64; 2],
    /// The visible part of the world: smallest and largest y.
    pub y: [f64; 2],
    /// Colour of what no shape covers.
    pub background: Rgb,
    /// What is to be seen.
    pub shapes: Vec<Shape>,
}

impl Scene {
    /// An empty picture of this part of the world.
    pub fn new(x: [f64; 2], y: [f64; 2]) -> Self {
        Self { x, y, background: WHITE, shapes: Vec::new() }
    }

    /// Adds a filled polygon.
    pub fn polygon(&mut self, points: Vec<Point>, color: Rgb) {
        self.shapes.push(Shape::Polygon { points, color });
    }

    /// Adds a filled rectangle between two opposite corners.
    pub fn rectangle(&mut self, [left, bottom]: Point, [right, top]: Point, color: Rgb) {
        self.polygon(vec![[left, bottom], [right, bottom], [right, top], [left, top]], color);
    }

    /// Adds a line through several points.
    pub fn line(&mut self, points: Vec<Point>, width: f64, color: Rgb) {
        self.shapes.push(Shape::Line { points, width, color });
    }

    /// Adds a filled circle.
    pub fn circle(&mut self, center: Point, radius: f64, color: Rgb) {
        self.shapes.push(Shape::Circle { center, radius, color });
    }
}
