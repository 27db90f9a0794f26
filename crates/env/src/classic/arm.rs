//! The equations of motion of a two-link arm, in many lanes at once: [`Acrobot`](super::Acrobot)'s
//! physics, which a lane by itself goes through as well.

use std::f64::consts::{FRAC_PI_2, PI};

use super::{
    acrobot::AcrobotParams,
    square::{square, squares},
};

const GRAVITY: f64 = 9.8;

/// θ₁, θ₂, θ̇₁, θ̇₂ of `W` lanes, a column for each.
pub(super) type States<const W: usize> = [[f64; W]; 4];

/// The parameters as the equations of motion use them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arm {
    nips: bool,
    dt: f64,
    max_speeds: [f64; 2],
    moi: f64,
    m2: f64,
    /// m₁ l𝒸₁²
    inertia_1: f64,
    /// l₁² + l𝒸₂²
    squares: f64,
    /// l𝒸₂²
    lc2_squared: f64,
    /// l₁ l𝒸₂
    l1_lc2: f64,
    /// m₂ l₁ l𝒸₂
    m2_l1_lc2: f64,
    /// (m₁ l𝒸₁ + m₂ l₁) g
    weight_1: f64,
    /// m₂ l𝒸₂ g
    weight_2: f64,
    /// m₂ l𝒸₂² + I
    inertia_2: f64,
}

/// What the equations of motion take from libm, in one lane.
struct Terms {
    sin2: f64,
    cos2: f64,
    /// cos(θ₁ − π/2)
    pull1: f64,
    /// cos(θ₁ + θ₂ − π/2)
    pull2: f64,
    d2: f64,
    d2_squared: f64,
    speeds: [f64; 2],
    speeds_squared: [f64; 2],
}

impl Arm {
    pub(super) fn new(p: &AcrobotParams) -> Self {
        let (m1, m2, moi) = (p.link_mass_1, p.link_mass_2, p.link_moi);
        let (l1, lc1, lc2) = (p.link_length_1, p.link_com_pos_1, p.link_com_pos_2);
        Self {
            nips: p.nips,
            dt: p.dt,
            max_speeds: [p.max_vel_1, p.max_vel_2],
            moi,
            m2,
            inertia_1: m1 * square(lc1),
            squares: square(l1) + square(lc2),
            lc2_squared: square(lc2),
            l1_lc2: l1 * lc2,
            m2_l1_lc2: m2 * l1 * lc2,
            weight_1: (m1 * lc1 + m2 * l1) * GRAVITY,
            weight_2: m2 * lc2 * GRAVITY,
            inertia_2: m2 * square(lc2) + moi,
        }
    }

    /// The states a step later. An angle is NaN where the arm spun so fast that it means nothing any
    /// more.
    #[inline]
    pub(super) fn advance<const W: usize>(
        &self,
        state: &States<W>,
        torque: &[f64; W],
    ) -> States<W> {
        let [theta1, theta2, speed1, speed2] = self.integrate(state, torque);
        let [most1, most2] = self.max_speeds;
        [
            theta1.map(wrapped),
            theta2.map(wrapped),
            speed1.map(|speed| speed.clamp(-most1, most1)),
            speed2.map(|speed| speed.clamp(-most2, most2)),
        ]
    }

    /// One step of Runge and Kutta's method of fourth order.
    #[inline]
    fn integrate<const W: usize>(&self, y: &States<W>, torque: &[f64; W]) -> States<W> {
        let (half, sixth) = (self.dt / 2.0, self.dt / 6.0);
        let k1 = self.derivative(y, torque);
        let k2 = self.derivative(&moved(y, half, &k1), torque);
        let k3 = self.derivative(&moved(y, half, &k2), torque);
        let k4 = self.derivative(&moved(y, self.dt, &k3), torque);
        let mut mean = k1;
        for j in 0..4 {
            for i in 0..W {
                mean[j][i] = k1[j][i] + 2.0 * k2[j][i] + 2.0 * k3[j][i] + k4[j][i];
            }
        }
        moved(y, sixth, &mean)
    }

    /// d/dt of θ₁, θ₂, θ̇₁, θ̇₂. What calls libm goes through all lanes before the next call does, so
    /// that the processor works on several lanes at a time.
    #[inline]
    fn derivative<const W: usize>(
        &self,
        [theta1, theta2, speed1, speed2]: &States<W>,
        torque: &[f64; W],
    ) -> States<W> {
        let (mut sin2, mut cos2, mut pull2) = ([0.0; W], [0.0; W], [0.0; W]);
        for i in 0..W {
            (sin2[i], cos2[i]) = theta2[i].sin_cos();
        }
        for i in 0..W {
            pull2[i] = (theta1[i] + theta2[i] - FRAC_PI_2).cos();
        }
        let pull1 = theta1.map(|theta1| (theta1 - FRAC_PI_2).cos());
        let d2 = cos2.map(|cos2| self.m2 * (self.lc2_squared + self.l1_lc2 * cos2) + self.moi);
        let d2_squared = squares(&d2);
        let speeds_squared = [squares(speed1), squares(speed2)];
        let (mut acceleration1, mut acceleration2) = ([0.0; W], [0.0; W]);
        for i in 0..W {
            let terms = Terms {
                sin2: sin2[i],
                cos2: cos2[i],
                pull1: pull1[i],
                pull2: pull2[i],
                d2: d2[i],
                d2_squared: d2_squared[i],
                speeds: [speed1[i], speed2[i]],
                speeds_squared: [speeds_squared[0][i], speeds_squared[1][i]],
            };
            [acceleration1[i], acceleration2[i]] = self.accelerations(&terms, torque[i]);
        }
        [*speed1, *speed2, acceleration1, acceleration2]
    }

    /// θ̈₁ and θ̈₂, in Gymnasium's order of operations.
    #[inline]
    fn accelerations(&self, terms: &Terms, torque: f64) -> [f64; 2] {
        let &Terms { sin2, cos2, pull1, pull2, d2, d2_squared, .. } = terms;
        let ([speed1, speed2], [speed1_squared, speed2_squared]) =
            (terms.speeds, terms.speeds_squared);
        let swing = self.m2_l1_lc2;
        let d1 = self.inertia_1
            + self.m2 * (self.squares + 2.0 * self.l1_lc2 * cos2)
            + self.moi
            + self.moi;
        let phi2 = self.weight_2 * pull2;
        let phi1 = -swing * speed2_squared * sin2 - 2.0 * swing * speed2 * speed1 * sin2
            + self.weight_1 * pull1
            + phi2;
        let drive = torque + d2 / d1 * phi1;
        let drive = if self.nips { drive } else { drive - swing * speed1_squared * sin2 };
        let acceleration2 = (drive - phi2) / (self.inertia_2 - d2_squared / d1);
        let acceleration1 = -(d2 * acceleration2 + phi1) / d1;
        [acceleration1, acceleration2]
    }
}

/// `y + step · k`
#[inline]
fn moved<const W: usize>(y: &States<W>, step: f64, k: &States<W>) -> States<W> {
    let mut there = *y;
    for (there, k) in there.iter_mut().zip(k) {
        for i in 0..W {
            there[i] += step * k[i];
        }
    }
    there
}

/// The angle in [−π, π], a turn at a time: a remainder would round differently.
#[inline]
fn wrapped(mut angle: f64) -> f64 {
    if angle.is_nan() || angle.abs() > 1e6 {
        return f64::NAN;
    }
    while angle > PI {
        angle -= 2.0 * PI;
    }
    while angle < -PI {
        angle += 2.0 * PI;
    }
    angle
}

/// Writes what is seen of the states, and returns where the tip is more than a metre above the
/// shoulder.
#[inline]
pub(super) fn look<const W: usize>(
    [theta1, theta2, speed1, speed2]: &States<W>,
    obs: &mut [[f32; 6]; W],
) -> [bool; W] {
    let mut above = [false; W];
    for i in 0..W {
        let ((sin1, cos1), (sin2, cos2)) = (theta1[i].sin_cos(), theta2[i].sin_cos());
        obs[i] = [cos1, sin1, cos2, sin2, speed1[i], speed2[i]].map(|x| x as f32);
        above[i] = -cos1 - (theta2[i] + theta1[i]).cos() > 1.0;
    }
    above
}
