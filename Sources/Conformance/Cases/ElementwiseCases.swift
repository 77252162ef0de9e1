import Compute

extension CaseTable {
  /// Activations, sums, products, scaling, dropout, rotation, memory and reductions.
  static let elementwise: [ConformanceCase] =
    activations + gated + binary + scaling + dropout + rotary + memory + reductions

  private static let quickSizes: Set<Int> = [1, 17, 33, 65, 257]

  /// From far below to far above, through zero and the points where the functions bend.
  private static let ladder: [Double] = [
    -1e4, -1000, -104, -90, -88, -50, -20, -10, -6, -4, -3, -2, -1.5, -1, -0.75, -0.5, -0.1, -1e-3, -1e-6, -1e-20, 0,
    1e-20, 1e-6, 1e-3, 0.1, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 10, 20, 50, 88, 90, 104, 1000, 1e4,
  ]

  private static let activations: [ConformanceCase] = ["relu", "silu", "gelu", "gelu,tanh", "tanh"].flatMap { kind in
    let operation = kind.split(separator: ",").first.map(String.init) ?? kind
    let attributes: [String: AttributeValue] = kind == "gelu,tanh" ? ["approximate": "tanh"] : [:]
    let suffix = kind == "gelu,tanh" ? ",tanh" : ""
    func with(_ more: [String: AttributeValue]) -> [String: AttributeValue] {
      attributes.merging(more) { _, new in new }
    }
    return boundarySizes.map { n in
      ConformanceCase(
        operation, "n=\(n)\(suffix)", [0: .init([n], .normal(deviation: 2))], attributes, quick: quickSizes.contains(n))
    } + [
      ConformanceCase(
        operation, "ladder\(suffix)", [0: .init([ladder.count], .values(ladder))], attributes, quick: true),
      ConformanceCase(operation, "shape=3x5x7\(suffix)", [0: .init([3, 5, 7])], attributes, quick: true),
      ConformanceCase(operation, "n=0\(suffix)", [0: .init([0])], attributes, quick: true),
      ConformanceCase(operation, "n=100,in-place\(suffix)", [0: .init([100])], with(["inPlace": true]), quick: true),
      // Long ones are written past the caches of processors.
      ConformanceCase(operation, "n=65543\(suffix)", [0: .init([65543], .normal(deviation: 2))], attributes),
      ConformanceCase(operation, "n=65543,in-place\(suffix)", [0: .init([65543])], with(["inPlace": true])),
      ConformanceCase(operation, "n=40,denormal\(suffix)", [0: .init([40], .denormal)], attributes, quick: true),
      ConformanceCase(
        operation, "n=40,nan\(suffix)", [0: .init([40], .normalWith([(3, .nan), (-1, .nan), (17, .infinity)]))],
        attributes, nonFinite: true, quick: true),
    ]
  }

  private static let gated: [ConformanceCase] = Activation.allCases.flatMap { kind in
    boundarySizes.map { n in
      ConformanceCase(
        "gated", "rows=3,n=\(n),\(kind.rawValue)", [0: .init([3, n], .normal(deviation: 2)), 1: .init([3, n])],
        ["activation": .string(kind.rawValue)], quick: n == 17 || n == 65)
    } + [
      ConformanceCase(
        "gated", "ladder,\(kind.rawValue)", [0: .init([ladder.count], .values(ladder)), 1: .init([ladder.count])],
        ["activation": .string(kind.rawValue)], quick: true),
      ConformanceCase(
        "gated", "n=0,\(kind.rawValue)", [0: .init([0]), 1: .init([0])], ["activation": .string(kind.rawValue)],
        quick: true),
    ]
  }

  private static let binary: [ConformanceCase] = ["add", "multiply"].flatMap { operation in
    boundarySizes.flatMap { n in
      [
        ConformanceCase(
          operation, "rows=3,n=\(n)", [0: .init([3, n]), 1: .init([3, n])], quick: quickSizes.contains(n)),
        ConformanceCase(
          operation, "rows=5,n=\(n),row", [0: .init([5, n]), 1: .init([n])], quick: quickSizes.contains(n)),
      ]
    } + [
      ConformanceCase(operation, "shape=2x3x17,row", [0: .init([2, 3, 17]), 1: .init([17])], quick: true),
      ConformanceCase(
        operation, "rows=7,n=30,in-place", [0: .init([7, 30]), 1: .init([7, 30])], ["inPlace": true], quick: true),
      ConformanceCase(
        operation, "rows=7,n=30,row,in-place", [0: .init([7, 30]), 1: .init([30])], ["inPlace": true], quick: true),
      ConformanceCase(operation, "rows=0,n=6", [0: .init([0, 6]), 1: .init([0, 6])], quick: true),
      ConformanceCase(
        operation, "n=40,nan", [0: .init([40], .normalWith([(3, .nan), (5, .infinity)])), 1: .init([40])],
        nonFinite: true, quick: true),
      ConformanceCase(operation, "n=100000", [0: .init([100_000]), 1: .init([100_000])]),
    ]
  }

  private static let scaling: [ConformanceCase] =
    boundarySizes.flatMap { n in
      let quick = quickSizes.contains(n)
      return [
        ConformanceCase("scale", "n=\(n)", [0: .init([n])], ["scale": -0.3], quick: quick),
        ConformanceCase(
          "addScaled", "n=\(n)", [0: .init([n]), 1: .init([n])], ["factor": 1.7], quick: quick),
        ConformanceCase("scaleRows", "rows=\(n),n=7", [0: .init([n, 7]), 1: .init([n])], quick: quick),
        ConformanceCase("scaleRows", "rows=5,n=\(n)", [0: .init([5, n]), 1: .init([5])], quick: quick),
      ]
    } + [
      ConformanceCase("scale", "n=0", [0: .init([0])], ["scale": 2], quick: true),
      ConformanceCase("scale", "n=50,in-place", [0: .init([50])], ["scale": 2.5, "inPlace": true], quick: true),
      ConformanceCase("scaleRows", "rows=0,n=4", [0: .init([0, 4]), 1: .init([0])], quick: true),
      ConformanceCase(
        "scaleRows", "rows=9,n=20,in-place", [0: .init([9, 20]), 1: .init([9])], ["inPlace": true], quick: true),
      ConformanceCase("addScaled", "n=0", [0: .init([0]), 1: .init([0])], ["factor": 2], quick: true),
      ConformanceCase(
        "scale", "n=9,nan", [0: .init([9], .normalWith([(3, .nan), (5, .infinity)]))], ["scale": 0.5], nonFinite: true,
        quick: true),
    ]

  private static let dropout: [ConformanceCase] =
    boundarySizes.map { n in
      ConformanceCase(
        "dropout", "n=\(n),probability=0.3", [0: .init([n])], ["probability": 0.3, "seed": 7, "stream": 11],
        quick: quickSizes.contains(n))
    } + [
      ConformanceCase("dropout", "n=99,probability=0", [0: .init([99])], ["probability": 0], quick: true),
      ConformanceCase(
        "dropout", "rows=9,n=21,probability=0.9", [0: .init([9, 21])],
        ["probability": 0.9, "seed": 1_234_567_890_123, "stream": 9_876_543_210], quick: true),
      ConformanceCase(
        "dropout", "n=130,in-place", [0: .init([130])], ["probability": 0.5, "seed": 3, "inPlace": true], quick: true),
      ConformanceCase("dropout", "n=0", [0: .init([0])], ["probability": 0.5], quick: true),
    ]

  private static func rotation(
    _ label: String, tokens: Int, heads: Int, width: Int, positions: InputFill = .counting(),
    _ attributes: [String: AttributeValue] = [:], quick: Bool = true
  ) -> ConformanceCase {
    ConformanceCase(
      "rotary", "tokens=\(tokens),heads=\(heads),width=\(width)\(label.isEmpty ? "" : ",\(label)")",
      [0: .init([tokens, heads * width]), 1: .integers(tokens, positions)],
      attributes.merging(["heads": .number(Double(heads))]) { given, _ in given }, quick: quick)
  }

  private static let rotary: [ConformanceCase] = [
    rotation("", tokens: 1, heads: 1, width: 2), rotation("", tokens: 17, heads: 3, width: 16),
    rotation("", tokens: 33, heads: 2, width: 64, quick: false),
    rotation("", tokens: 65, heads: 1, width: 128, quick: false),
    rotation("interleaved", tokens: 17, heads: 3, width: 16, ["interleaved": true]),
    rotation("partial", tokens: 9, heads: 4, width: 24, ["rotaryDimensions": 10]),
    rotation("partial,interleaved", tokens: 9, heads: 2, width: 20, ["rotaryDimensions": 6, "interleaved": true]),
    rotation("far", tokens: 12, heads: 2, width: 32, positions: .indices(below: 4096)),
    rotation("theta=500000", tokens: 12, heads: 2, width: 32, ["theta": 500000]),
    rotation("in-place", tokens: 12, heads: 2, width: 10, ["inPlace": true]),
    rotation("none", tokens: 3, heads: 2, width: 6, ["rotaryDimensions": 0]),
    rotation("", tokens: 0, heads: 2, width: 8),
    rotation(
      "yarn", tokens: 12, heads: 2, width: 32, positions: .indices(below: 4096),
      ["frequencyScaling": ["rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 1024]]),
    rotation(
      "llama3", tokens: 12, heads: 2, width: 32,
      [
        "frequencyScaling": [
          "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
          "original_max_position_embeddings": 256,
        ]
      ]),
  ]

  private static let memory: [ConformanceCase] =
    boundarySizes.flatMap { n in
      DType.allCases.flatMap { dtype in
        let input = ConformanceCase.Input([n], dtype == .i32 ? .indices(below: 1000) : .normal(), dtype)
        return ["roundTrip", "copy"].map {
          ConformanceCase($0, "n=\(n),\(dtype.rawValue)", [0: input], quick: n == 17 || n == 257)
        }
      } + [ConformanceCase("fill", "n=\(n)", [0: .init([n])], ["value": -2.7], quick: n == 17 || n == 257)]
    }

  private static let reductions: [ConformanceCase] =
    boundarySizes.flatMap { n in
      ["sum", "sumOfSquares", "firstNonFinite"].map {
        ConformanceCase($0, "n=\(n)", [0: .init([n])], quick: quickSizes.contains(n))
      }
    } + [
      ConformanceCase("sum", "n=9999,cancelling", [0: .init([9999], .cancelling)], quick: true),
      ConformanceCase("sum", "n=100003", [0: .init([100_003], .uniform(0, 1))]),
      ConformanceCase("sumOfSquares", "n=100003", [0: .init([100_003])]),
      ConformanceCase("sum", "n=70,nan", [0: .init([70], .normalWith([(66, .nan)]))], nonFinite: true, quick: true),
      ConformanceCase(
        "sumOfSquares", "n=70,infinity", [0: .init([70], .normalWith([(0, -.infinity)]))], nonFinite: true, quick: true),
      ConformanceCase("firstNonFinite", "n=70,last", [0: .init([70], .normalWith([(-1, .nan)]))], quick: true),
      ConformanceCase(
        "firstNonFinite", "n=5000,two", [0: .init([5000], .normalWith([(4100, .nan), (4099, -.infinity)]))],
        quick: true),
      ConformanceCase(
        "firstNonFinite", "n=300,first", [0: .init([300], .normalWith([(0, .infinity), (299, .nan)]))],
        quick: true),
    ]
}
