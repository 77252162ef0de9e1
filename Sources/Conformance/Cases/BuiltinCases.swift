import Compute

extension CaseTable {
  /// The device's own functions over the ranges in which kernels call them, and at their special points.
  static let builtins: [ConformanceCase] = Builtin.allCases.flatMap { function in
    // Kernels take sines one at a time, and rightly so: PoCL 3.1 gives wrong ones beside a huge or infinite lane.
    (function == .sin || function == .cos ? [true] : [false, true]).flatMap { scalar in
      let suffix = scalar ? ",scalar" : ""
      let attributes: [String: AttributeValue] = [
        "function": .string(function.rawValue), "scalar": .bool(scalar),
      ]
      func inputs(_ fill: (Int) -> InputFill, count: Int) -> [Int: ConformanceCase.Input] {
        Dictionary(uniqueKeysWithValues: (0..<function.arity).map { ($0, .init([count], fill($0))) })
      }
      return function.ranges.map { label, fills in
        ConformanceCase(
          "builtin", "\(function.rawValue),\(label)\(suffix)", inputs({ fills[$0] }, count: 20_000), attributes,
          quick: !scalar || function == .sin || function == .cos)
      } + [
        ConformanceCase(
          "builtin", "\(function.rawValue),special\(suffix)", inputs({ .values(special($0)) }, count: special(0).count),
          attributes, nonFinite: true, quick: !scalar || function == .sin || function == .cos)
      ]
    }
  }

  private static func special(_ place: Int) -> [Double] {
    [
      [0, 1, -1, 2, 0.5, .infinity, -.infinity, .nan, 3e38, 1e-30, 88.72283, -87.33654],
      [1, 0, 2, -2, 0.25, 1, 1, 1, 1, 2, 1, 1],
      [0, 1, -1, 2, 3, 1, 1, 1, 1, 1, -1, 1],
    ][place]
  }
}

extension Builtin {
  /// Stretches of the domain by name, with the contents of each operand.
  fileprivate var ranges: [(String, [InputFill])] {
    switch self {
    case .exp, .exponential: [("whole", [.uniform(-87, 88.7)]), ("near-0", [.uniform(-1, 1)])]
    case .log: [("whole", [.magnitudes(-125, 127)]), ("near-1", [.uniform(0.9, 1.1)])]
    case .tanh: [("whole", [.uniform(-12, 12)]), ("near-0", [.uniform(-0.01, 0.01)])]
    case .erf: [("whole", [.uniform(-5, 5)]), ("near-0", [.uniform(-0.01, 0.01)])]
    // GELU asks for it, and loses what is below 1e-16 in its sum; drivers may be off there (llvmpipe by 62 ulp at 8).
    case .erfc: [("whole", [.uniform(-6, 6)]), ("near-0", [.uniform(-0.5, 0.5)])]
    case .rsqrt, .sqrt: [("whole", [.magnitudes(-125, 127)])]
    case .sin, .cos: [("turns", [.uniform(-7, 7)]), ("far", [.uniform(-100_000, 100_000)])]
    case .divide: [("whole", [.magnitudes(-40, 40), .magnitudes(-40, 40)])]
    case .pow: [("whole", [.magnitudes(-20, 20), .uniform(-5, 5)])]
    case .fma: [("whole", [.normal(), .normal(), .normal()]), ("cancelling", [.normal(), .constant(-1), .normal()])]
    }
  }
}
