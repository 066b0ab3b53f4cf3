"""Forward and reverse mode of a rule: dual numbers, Jacobians, tangent and cotangent products."""
