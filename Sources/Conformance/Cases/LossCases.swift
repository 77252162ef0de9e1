import Compute

extension CaseTable {
  /// Cross-entropy, alone and fused with the projection, and the optimizers.
  static let losses: [ConformanceCase] = logits + projected + optimizers

  private static func loss(
    _ label: String, tokens: Int, classes: Int, width: Int? = nil, fill: InputFill = .normal(),
    weight: DType = .f32, bias: Bool = false, labels: InputFill? = nil, _ attributes: [String: AttributeValue] = [:],
    nonFinite: Bool = false, quick: Bool = false
  ) -> ConformanceCase {
    let ignored = attributes["ignoreIndex"] == nil ? -100 : Int32(-1)
    var inputs: [Int: ConformanceCase.Input] = [
      0: .init([tokens, width ?? classes], fill),
      1: .integers(tokens, labels ?? .labels(below: classes, ignoring: ignored)),
    ]
    if let width { inputs[2] = .init([classes, width], .normal(deviation: 0.5), weight) }
    if bias { inputs[3] = .init([classes]) }
    let sizes = "T=\(tokens),V=\(classes)" + (width.map { ",d=\($0)" } ?? "")
    return ConformanceCase(
      "crossEntropy", "\(sizes)\(label.isEmpty ? "" : ",\(label)")", inputs, attributes, nonFinite: nonFinite,
      quick: quick)
  }

  private static let logits: [ConformanceCase] =
    boundarySizes.map { size in
      loss("", tokens: 4, classes: size, fill: .normal(deviation: 3), quick: [1, 17, 33, 65, 257].contains(size))
    }
    + boundarySizes.map { size in
      loss("none", tokens: size, classes: 13, ["reduction": "none"], quick: [1, 17, 33, 65, 257].contains(size))
    } + [
      loss("sum", tokens: 9, classes: 50, ["reduction": "sum"], quick: true),
      loss("ignore=-1", tokens: 9, classes: 50, ["ignoreIndex": -1], quick: true),
      loss("near-overflow", tokens: 6, classes: 40, fill: .nearOverflow, quick: true),
      loss("equal", tokens: 6, classes: 40, fill: .equalRows, ["reduction": "none"], quick: true),
      loss("all-ignored", tokens: 5, classes: 8, labels: .constant(-100), ["reduction": "none"], quick: true),
      loss("confident", tokens: 6, classes: 30, fill: .normal(deviation: 60), ["reduction": "none"], quick: true),
      loss("empty", tokens: 0, classes: 8, ["reduction": "none"], quick: true),
      loss(
        "minus-infinity", tokens: 2, classes: 20, fill: .normalWith([(3, -.infinity), (-1, -.infinity)]),
        labels: .values([5, 6]), quick: true),
      loss(
        "nan", tokens: 3, classes: 20, fill: .normalWith([(25, .nan)]), labels: .values([5, 6, 7]),
        ["reduction": "none"], nonFinite: true, quick: true),
      loss("", tokens: 3, classes: 5003),
    ]

  private static let projected: [ConformanceCase] = [
    loss("", tokens: 5, classes: 21, width: 9, quick: true),
    loss("bias", tokens: 17, classes: 33, width: 16, bias: true, ["reduction": "none"], quick: true),
    loss("bias", tokens: 33, classes: 65, width: 20, bias: true, ["reduction": "sum"]),
    loss("bf16", tokens: 5, classes: 47, width: 32, weight: .bf16, quick: true),
    loss("f16,bias", tokens: 7, classes: 31, width: 17, weight: .f16, bias: true, quick: true),
    loss("frozen", tokens: 6, classes: 130, width: 48, ["frozen": true], quick: true),
    loss("frozen,bf16", tokens: 12, classes: 257, width: 64, weight: .bf16, ["frozen": true]),
    loss("", tokens: 1, classes: 2, width: 1, quick: true),
  ]

  private static func adam(_ label: String, _ n: Int, _ attributes: [String: AttributeValue], quick: Bool = false)
    -> ConformanceCase
  {
    ConformanceCase(
      "adamW", "n=\(n),\(label)",
      [0: .init([n]), 1: .init([n]), 2: .init([n], .normal(deviation: 0.1)), 3: .init([n], .uniform(0, 0.1))],
      attributes, quick: quick)
  }

  private static let optimizers: [ConformanceCase] =
    boundarySizes.flatMap { n in
      let quick = [1, 17, 33, 65, 257].contains(n)
      return [
        adam("step=3", n, ["learningRate": 0.01, "step": 3], quick: quick),
        ConformanceCase(
          "sgd", "n=\(n),momentum", [0: .init([n]), 1: .init([n]), 2: .init([n])],
          ["learningRate": 0.1, "momentum": 0.9, "weightDecay": 0.01], quick: quick),
        ConformanceCase(
          "adafactor", "r=7,c=\(n)",
          [0: .init([7, n]), 1: .init([7, n]), 2: .init([7], .uniform(0.1, 1)), 3: .init([n], .uniform(0.1, 1))],
          ["learningRate": 0.3, "step": 4], quick: quick),
        ConformanceCase(
          "adafactor", "r=\(n),c=6",
          [0: .init([n, 6]), 1: .init([n, 6]), 2: .init([n], .uniform(0.1, 1)), 3: .init([6], .uniform(0.1, 1))],
          ["learningRate": 0.3, "step": 4, "weightDecay": 0.01], quick: quick),
        ConformanceCase(
          "adafactor", "n=\(n),full", [0: .init([n]), 1: .init([n]), 2: .init([n], .uniform(0.1, 1))],
          ["learningRate": 0.3, "step": 2], quick: quick),
      ]
    } + [
      adam("step=1,decay", 100, ["learningRate": 0.3, "step": 1, "weightDecay": 0.1], quick: true),
      adam("step=100000", 100, ["learningRate": 0.3, "step": 100_000, "beta2": 0.95, "epsilon": 1e-6], quick: true),
      ConformanceCase(
        "adamW", "n=40,fresh",
        [0: .init([40]), 1: .init([40]), 2: .init([40], .constant(0)), 3: .init([40], .constant(0))],
        ["learningRate": 0.01, "step": 1], quick: true),
      ConformanceCase(
        "adamW", "n=40,tiny-gradient",
        [
          0: .init([40]), 1: .init([40], .normal(deviation: 1e-12)), 2: .init([40], .constant(0)),
          3: .init([40], .constant(0)),
        ], ["learningRate": 0.01, "step": 1], quick: true),
      ConformanceCase(
        "sgd", "n=33,plain", [0: .init([33]), 1: .init([33])], ["learningRate": 0.1], quick: true),
      ConformanceCase(
        "adafactor", "r=20,c=33,fresh",
        [
          0: .init([20, 33], .normal(deviation: 0.01)), 1: .init([20, 33], .normal(deviation: 1e-4)),
          2: .init([20], .constant(0)), 3: .init([33], .constant(0)),
        ], ["learningRate": 0.3, "step": 1], quick: true),
      ConformanceCase(
        "adafactor", "r=20,c=33,absolute,clip=0.5",
        [0: .init([20, 33]), 1: .init([20, 33]), 2: .init([20], .uniform(0.1, 1)), 3: .init([33], .uniform(0.1, 1))],
        ["learningRate": 0.3, "step": 7, "scalesByParameter": false, "clipThreshold": 0.5], quick: true),
      ConformanceCase(
        "adafactor", "n=50,full,small-parameter",
        [0: .init([50], .constant(1e-5)), 1: .init([50]), 2: .init([50], .uniform(0.1, 1))],
        ["learningRate": 0.3, "step": 7, "clipThreshold": 100], quick: true),
    ]
}
