import Compute

/// Sizes around every vector, tile and work-group boundary.
let boundarySizes = [
  1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000,
]

extension CaseTable {
  static let matmul: [ConformanceCase] = sizes + transposes + epilogues + storage + rounded + long + extremes

  private static func product(
    _ label: String, batch: [Int] = [], m: Int, n: Int, k: Int, transposeA: Bool = false, transposeB: Bool = false,
    dtype: DType = .f32, bias: Bool = false, addend: Bool = false, fillA: InputFill = .normal(),
    fillB: InputFill = .normal(), sharedB: Bool = true, _ attributes: [String: AttributeValue] = [:],
    gradients: Bool = true, nonFinite: Bool = false, quick: Bool = false
  ) -> ConformanceCase {
    var attributes = attributes
    if transposeA { attributes["transposeA"] = true }
    if transposeB { attributes["transposeB"] = true }
    let a = batch + (transposeA ? [k, m] : [m, k])
    let b = (sharedB ? [] : batch) + (transposeB ? [n, k] : [k, n])
    var inputs: [Int: ConformanceCase.Input] = [
      0: .init(Shape(a), fillA), 1: .init(Shape(b), fillB, dtype),
    ]
    if bias { inputs[2] = .init([n]) }
    if addend { inputs[3] = .init(Shape(batch + [m, n])) }
    let kind = (transposeA ? "t" : "n") + (transposeB ? "t" : "n")
    let batchLabel = batch.isEmpty ? "" : "batch=\(batch.map(String.init).joined(separator: "x")),"
    return ConformanceCase(
      "matmul", "\(batchLabel)m=\(m),n=\(n),k=\(k),\(kind)\(label.isEmpty ? "" : ",\(label)")", inputs, attributes,
      gradients: gradients, nonFinite: nonFinite, quick: quick)
  }

  /// Every boundary size in every place, with the transposes taking turns.
  private static let sizes: [ConformanceCase] = boundarySizes.enumerated().flatMap { index, size in
    let quick = [1, 17, 33, 49, 65].contains(size)
    let (tA, tB) = (index % 4 >= 2, index % 2 == 1)
    return [
      product("", m: size, n: 35, k: 18, transposeA: tA, transposeB: tB, quick: quick),
      product("", m: 18, n: size, k: 35, transposeA: tB, transposeB: !tA, quick: quick),
      product("", m: 21, n: 34, k: size, transposeA: !tA, transposeB: tB, quick: quick),
    ]
  }

  private static let transposes: [ConformanceCase] = [false, true].flatMap { tA in
    [false, true].flatMap { tB in
      [
        product("", m: 13, n: 49, k: 67, transposeA: tA, transposeB: tB, quick: true),
        product("", m: 11, n: 101, k: 520, transposeA: tA, transposeB: tB, quick: true),
        product("", m: 16, n: 800, k: 129, transposeA: tA, transposeB: tB),
        product("", batch: [2, 3], m: 5, n: 7, k: 9, transposeA: tA, transposeB: tB, quick: true),
        product("own", batch: [3], m: 17, n: 6, k: 33, transposeA: tA, transposeB: tB, sharedB: false, quick: true),
        product("", m: 129, n: 257, k: 130, transposeA: tA, transposeB: tB, gradients: false),
        product("frozen", m: 65, n: 97, k: 129, transposeA: tA, transposeB: tB, ["frozen": true]),
      ]
    }
  }

  private static let epilogues: [ConformanceCase] =
    MatmulOperation.Epilogue.allCases.flatMap { activated($0.rawValue) } + addends

  private static func activated(_ activation: String) -> [ConformanceCase] {
    [
      product(
        "bias,activation=\(activation),frozen", m: 19, n: 51, k: 23, bias: true,
        ["activation": .string(activation), "frozen": true], quick: true),
      product(
        "bias,C,activation=\(activation)", m: 6, n: 18, k: 40, transposeB: true, bias: true, addend: true,
        ["activation": .string(activation), "alpha": 0.5, "beta": -1.5], quick: true),
    ]
  }

  private static let addends: [ConformanceCase] = [
    product("alpha=-0.25", m: 9, n: 33, k: 20, ["alpha": -0.25], quick: true),
    product("C,alpha=2,beta=0.5", m: 9, n: 33, k: 20, addend: true, ["alpha": 2, "beta": 0.5], quick: true),
    product("C,in-place", m: 33, n: 17, k: 50, addend: true, ["inPlace": true], quick: true),
    product("C,in-place", m: 64, n: 48, k: 16, transposeA: true, addend: true, ["inPlace": true], quick: true),
    product("C,in-place", m: 7, n: 5, k: 0, addend: true, ["inPlace": true], quick: true),
    product("bias", m: 1, n: 1000, k: 64, transposeB: true, bias: true, quick: true),
  ]

  /// Weights in 16 bits, frozen or not, and operands rounded to bfloat16.
  private static var storage: [ConformanceCase] {
    var cases: [ConformanceCase] = []
    for dtype in [DType.bf16, .f16] {
      for (m, n, k) in [(1, 65, 33), (5, 48, 64), (16, 17, 129), (33, 100, 47), (70, 130, 65)] {
        for transposeB in [false, true] {
          for frozen in [false, true] {
            let label = "\(dtype.rawValue)\(frozen ? ",frozen" : "")"
            cases.append(
              product(
                label, m: m, n: n, k: k, transposeB: transposeB, dtype: dtype, ["frozen": .bool(frozen)],
                quick: m < 20))
          }
        }
      }
    }
    for (m, n, k) in [(1, 65, 33), (17, 50, 129), (65, 96, 64)] {
      for dtype in [DType.f32, .bf16] {
        for frozen in [false, true] {
          let label = "rounded,\(dtype.rawValue)\(frozen ? ",frozen" : "")"
          cases.append(
            product(
              label, m: m, n: n, k: k, transposeB: frozen, dtype: dtype,
              ["roundsOperands": true, "frozen": .bool(frozen)], quick: m < 20))
        }
      }
    }
    return cases
  }

  /// Operands rounded to bfloat16, more of them than one work-item or one slice of the sums takes.
  private static let rounded: [ConformanceCase] =
    [false, true].flatMap { tA in
      [false, true].flatMap { tB in
        [
          rounded("", m: 31, n: 33, k: 35, transposeA: tA, transposeB: tB, quick: true),
          rounded("", m: 136, n: 160, k: 72, transposeA: tA, transposeB: tB, gradients: false),
          rounded("own", batch: [3], m: 20, n: 28, k: 36, transposeA: tA, transposeB: tB, sharedB: false),
        ]
      }
    } + [
      rounded("", m: 20, n: 36, k: 33, transposeA: true),
      rounded("bf16", m: 136, n: 160, k: 72, dtype: .bf16, gradients: false),
      rounded("bf16", m: 136, n: 160, k: 72, transposeB: true, dtype: .bf16, gradients: false),
      rounded("bf16", m: 130, n: 131, k: 97, transposeA: true, dtype: .bf16, gradients: false),
      rounded(
        "bias,C,activation=gelu", m: 18, n: 70, k: 40, bias: true, addend: true,
        ["activation": "gelu", "alpha": 0.5, "beta": -1.5], gradients: false, quick: true),
      rounded("C,in-place", m: 66, n: 65, k: 32, addend: true, ["inPlace": true]),
      rounded("cancelling", m: 17, n: 19, k: 48, fillA: .cancelling),
      rounded("", m: 9, n: 33, k: 1000),
      rounded(
        "infinity", m: 17, n: 35, k: 18, fillA: .normalWith([(20, .infinity), (-1, -.infinity)]), nonFinite: true),
      rounded("nan", m: 17, n: 35, k: 18, fillB: .normalWith([(40, .nan)]), nonFinite: true, quick: true),
    ]

  /// Outputs and rounded operands that are written past the caches of processors: whole tiles, ends of rows, ends of
  /// strips.
  private static let long: [ConformanceCase] = [
    product("long", m: 258, n: 272, k: 20),
    product(
      "long,bias,C,frozen", m: 131, n: 528, k: 24, transposeB: true, bias: true, addend: true,
      ["alpha": 0.5, "beta": -1.5, "frozen": true], gradients: false),
    product("long,C,in-place", m: 260, n: 256, k: 12, addend: true, ["inPlace": true]),
    product("long,own", batch: [2], m: 70, n: 480, k: 17, sharedB: false, gradients: false),
    rounded("long,bf16", m: 262, n: 288, k: 40, dtype: .bf16, gradients: false),
    rounded("long,bf16", m: 260, n: 32, k: 512, transposeB: true, dtype: .bf16),
  ]

  private static func rounded(
    _ label: String, batch: [Int] = [], m: Int, n: Int, k: Int, transposeA: Bool = false, transposeB: Bool = false,
    dtype: DType = .f32, bias: Bool = false, addend: Bool = false, fillA: InputFill = .normal(),
    fillB: InputFill = .normal(), sharedB: Bool = true, _ attributes: [String: AttributeValue] = [:],
    gradients: Bool = true, nonFinite: Bool = false, quick: Bool = false
  ) -> ConformanceCase {
    product(
      label.isEmpty ? "rounded" : "rounded,\(label)", batch: batch, m: m, n: n, k: k, transposeA: transposeA,
      transposeB: transposeB, dtype: dtype, bias: bias, addend: addend, fillA: fillA, fillB: fillB, sharedB: sharedB,
      attributes.merging(["roundsOperands": true]) { first, _ in first }, gradients: gradients, nonFinite: nonFinite,
      quick: quick)
  }

  private static let extremes: [ConformanceCase] = [
    product("", m: 5, n: 7, k: 0, quick: true),
    product("bias", m: 5, n: 7, k: 0, bias: true, quick: true),
    product("", m: 0, n: 7, k: 5, quick: true),
    product("", m: 5, n: 0, k: 7, quick: true),
    product("", m: 1, n: 1, k: 1, quick: true),
    product("", m: 1, n: 1000, k: 257),
    product("frozen", m: 1, n: 257, k: 1000, transposeB: true, ["frozen": true]),
    product("", m: 1000, n: 1, k: 33),
    product("cancelling", m: 17, n: 19, k: 48, fillA: .cancelling, quick: true),
    product("cancelling", m: 8, n: 96, k: 255, fillA: .cancelling, fillB: .constant(3)),
    // More than processors pack at a time; the first also where local memory is 32 KiB.
    product("C,in-place", m: 17, n: 33, k: 190, addend: true, ["inPlace": true], quick: true),
    product("C,alpha=2,beta=0.5", m: 18, n: 50, k: 2100, bias: true, addend: true, ["alpha": 2, "beta": 0.5]),
    product("C,in-place", m: 25, n: 33, k: 1100, transposeB: true, addend: true, ["inPlace": true]),
    product("rounded,bf16,frozen", m: 33, n: 65, k: 2501, dtype: .bf16, ["roundsOperands": true, "frozen": true]),
    product("rounded", m: 33, n: 50, k: 1301, transposeA: true, transposeB: true, ["roundsOperands": true]),
    product("denormal", m: 9, n: 17, k: 20, fillA: .denormal, fillB: .normal(deviation: 1000), quick: true),
    product("equal", m: 9, n: 33, k: 1000, fillA: .constant(0.1), fillB: .constant(0.7)),
    product(
      "infinity", m: 17, n: 35, k: 18, fillA: .normalWith([(20, .infinity), (-1, -.infinity)]), nonFinite: true,
      quick: true),
    product("nan", m: 17, n: 35, k: 18, fillA: .normalWith([(20, .nan)]), nonFinite: true, quick: true),
    product(
      "nan,frozen", m: 17, n: 35, k: 18, fillB: .normalWith([(40, .nan)]), ["frozen": true], nonFinite: true,
      quick: true),
    product(
      "overflow", m: 5, n: 18, k: 4, fillA: .constant(1e30), fillB: .constant(-1e30), nonFinite: true, quick: true),
  ]
}
