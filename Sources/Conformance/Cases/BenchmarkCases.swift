import Compute

extension CaseTable {
  /// Cases at the sizes of GPT-2 small, to be timed; their references would take too long.
  static let benchmarks: [ConformanceCase] = products + roundedProducts + rowOperations + [projection] + attentionSteps

  private static let products: [ConformanceCase] = [1, 16, 128, 512, 1024].flatMap { m in
    [(768, 768), (2304, 768), (3072, 768), (768, 3072), (50257, 768)].compactMap { n, k in
      // The output projection of a thousand rows would be 200 MB.
      guard m <= 512 || n < 50257 else { return nil }
      let transposed = n == 50257
      return ConformanceCase(
        "matmul", "m=\(m),n=\(n),k=\(k)\(transposed ? ",nt" : ",nn"),frozen",
        [0: .init([m, k]), 1: .init(transposed ? [n, k] : [k, n], .normal(deviation: 0.05))],
        transposed ? ["frozen": true, "transposeB": true] : ["frozen": true])
    }
  }

  /// With weights kept in bf16, and operands rounded to it.
  private static let roundedProducts: [ConformanceCase] = [1, 512].flatMap { m in
    [(3072, 768), (768, 3072)].map { n, k in
      ConformanceCase(
        "matmul", "m=\(m),n=\(n),k=\(k),nn,rounded,bf16,frozen",
        [0: .init([m, k]), 1: .init([k, n], .normal(deviation: 0.05), .bf16)],
        ["frozen": true, "roundsOperands": true])
    }
  }

  private static let tokenRows: Shape = [1024, 768]

  private static let rowOperations: [ConformanceCase] = [
    ConformanceCase("softmax", "rows=1024,n=768", [0: .init(tokenRows)]),
    ConformanceCase("layerNorm", "rows=1024,n=768,bias", [0: .init(tokenRows), 1: .init([768]), 2: .init([768])]),
    ConformanceCase("rmsNorm", "rows=1024,n=768", [0: .init(tokenRows), 1: .init([768])]),
    ConformanceCase("gelu", "rows=1024,n=768", [0: .init(tokenRows)]),
    ConformanceCase("gelu", "rows=1024,n=768,tanh", [0: .init(tokenRows)], ["approximate": "tanh"]),
    ConformanceCase("silu", "rows=1024,n=768", [0: .init(tokenRows)]),
    ConformanceCase("add", "rows=1024,n=768", [0: .init(tokenRows), 1: .init(tokenRows)], gradients: false),
    ConformanceCase("columnSums", "rows=1024,n=768", [0: .init(tokenRows)], gradients: false),
    ConformanceCase(
      "gatherRows", "rows=1024,n=768,table=50257",
      [0: .init([50257, 768], .constant(0.5)), 1: .integers(1024, .indices(below: 50257))],
      gradients: false),
    ConformanceCase(
      "adamW", "rows=1024,n=768",
      [0: .init(tokenRows), 1: .init(tokenRows), 2: .init(tokenRows), 3: .init(tokenRows, .uniform(0, 1))],
      ["learningRate": 0.01, "step": 3], gradients: false),
  ]

  private static let projection = ConformanceCase(
    "crossEntropy", "rows=256,n=50257,d=768",
    [
      0: .init([256, 768]), 1: .integers(256, .labels(below: 50257, ignoring: nil)),
      2: .init([50257, 768], .normal(deviation: 0.05)),
    ])

  /// A long sequence, a batch of a prompt-tuning step, and a step of decoding.
  private static let attentionSteps: [ConformanceCase] = [
    ConformanceCase(
      "attention", "Q=1024,K=1024,heads=12,width=64,causal",
      [0: .init([1024, 768]), 1: .init([1024, 768]), 2: .init([1024, 768])], ["heads": 12, "causal": true]),
    segments("prompt=20,8-sequences", shared: 20, lengths: [58, 49, 61, 66, 52, 70, 45, 63]),
    segments("prompt=100,8-sequences,rounded", shared: 100, lengths: [58, 49, 61, 66, 52, 70, 45, 63], rounded: true),
    segments("histories=200-900", shared: 0, lengths: (0..<8).map { 200 + 100 * $0 }, queries: 1),
  ]

  /// Sequences behind a shared prompt; the last `queries` tokens of each ask, or all of them.
  private static func segments(
    _ label: String, shared: Int, lengths: [Int], queries: Int? = nil, rounded: Bool = false
  ) -> ConformanceCase {
    func range(_ start: Int, _ count: Int) -> AttributeValue {
      [.number(Double(start)), .number(Double(start + count))]
    }
    var (query, key) = (0, shared)
    var segments: [AttributeValue] = []
    for length in lengths {
      let asking = queries ?? length
      segments.append([
        "queries": range(query, asking), "shared": [range(0, shared)], "own": range(key, length), "causal": true,
      ])
      query += asking
      key += length
    }
    return ConformanceCase(
      "attention", "Q=\(query),K=\(key),heads=12,width=64,\(label)",
      [0: .init([query, 768]), 1: .init([key, 768]), 2: .init([key, 768])],
      ["heads": 12, "segments": .array(segments), "mayRoundOperands": .bool(rounded)])
  }
}
