# The first peak of a damped oscillator's step response, by steps of time.
# Takes zeta (damping, below 1) and omega (frequency); prints the peak and when it was.
BEGIN {
    x = 0; v = 0; t = 0; dt = 0.001 / omega; peak = 0
    while (v >= 0) {
        a = omega * omega * (1 - x) - 2 * zeta * omega * v
        v += a * dt; x += v * dt; t += dt
        if (x > peak) { peak = x; at = t }
    }
    printf "%.6f %.6f\n", peak, at
}
