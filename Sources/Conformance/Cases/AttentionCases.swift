import Compute

extension CaseTable {
  static let attention: [ConformanceCase] = plain + packed + gaps + biased + extremes + rounded

  private static func attend(
    _ label: String, queries: Int, keys: Int, heads: Int = 2, groups: Int? = nil, width: Int = 8,
    valueWidth: Int? = nil, fill: InputFill = .normal(), bias: ConformanceCase.Input? = nil,
    _ attributes: [String: AttributeValue] = [:], nonFinite: Bool = false, quick: Bool = true
  ) -> ConformanceCase {
    let groupCount = groups ?? heads
    var inputs: [Int: ConformanceCase.Input] = [
      0: .init([queries, heads * width], fill), 1: .init([keys, groupCount * width]),
      2: .init([keys, groupCount * (valueWidth ?? width)]),
    ]
    inputs[3] = bias
    var attributes = attributes
    attributes["heads"] = .number(Double(heads))
    if let groups { attributes["keyValueHeads"] = .number(Double(groups)) }
    let shape = "Q=\(queries),K=\(keys),heads=\(heads)" + (groups.map { "-\($0)" } ?? "") + ",width=\(width)"
    return ConformanceCase(
      "attention", "\(shape)\(label.isEmpty ? "" : ",\(label)")", inputs, attributes, nonFinite: nonFinite,
      quick: quick)
  }

  private static func range(_ start: Int, _ end: Int) -> AttributeValue {
    [.number(Double(start)), .number(Double(end))]
  }

  private static func segment(
    _ queries: (Int, Int), shared: [(Int, Int)] = [], own: (Int, Int)? = nil, causal: Bool = true,
    gap: Int = 0
  ) -> AttributeValue {
    var object: [String: AttributeValue] = ["queries": range(queries.0, queries.1), "causal": .bool(causal)]
    if !shared.isEmpty { object["shared"] = .array(shared.map { range($0.0, $0.1) }) }
    if gap > 0 { object["gap"] = .number(Double(gap)) }
    if let own { object["own"] = range(own.0, own.1) }
    return .object(object)
  }

  private static let plain: [ConformanceCase] =
    boundarySizes.filter { $0 < 300 }.flatMap { size in
      let quick = [1, 17, 33].contains(size)
      return [
        attend("causal", queries: size, keys: size, heads: size < 100 ? 2 : 1, ["causal": true], quick: quick),
        attend("", queries: 5, keys: size, quick: quick || size == 65),
        attend("width", queries: 6, keys: 9, heads: 1, width: size, ["causal": true], quick: size == 17),
      ]
    } + [
      attend("causal,scale=0.3", queries: 9, keys: 9, ["causal": true, "scale": 0.3]),
      attend("causal,values=5", queries: 9, keys: 9, width: 8, valueWidth: 5, ["causal": true]),
      attend("values=20", queries: 7, keys: 11, width: 12, valueWidth: 20, quick: false),
      attend("causal,grouped", queries: 18, keys: 18, heads: 6, groups: 2, ["causal": true]),
      attend("causal,one-group", queries: 20, keys: 20, heads: 4, groups: 1, ["causal": true]),
      attend("history", queries: 1, keys: 40, ["causal": true]),
      attend("history", queries: 5, keys: 40, heads: 4, groups: 2, ["causal": true]),
      attend("more-queries", queries: 9, keys: 4, ["causal": true]),
      attend("window=4", queries: 20, keys: 20, ["causal": true, "window": 4]),
      attend("window=1", queries: 18, keys: 18, ["causal": true, "window": 1]),
      attend("window=6,two-sided", queries: 20, keys: 20, ["window": 6]),
      attend("window=17,history", queries: 3, keys: 50, ["causal": true, "window": 17]),
    ]

  /// Batches: prompts in front of all sequences, histories, sequences of unlike lengths.
  private static let packed: [ConformanceCase] = [false, true].flatMap { grouped in
    let (heads, groups) = grouped ? (4, 2) : (2, nil)
    return [
      attend(
        "prompt,3-sequences", queries: 16, keys: 21, heads: heads, groups: groups,
        [
          "segments": [
            segment((0, 7), shared: [(0, 5)], own: (5, 12)), segment((7, 8), shared: [(0, 5)], own: (12, 13)),
            segment((8, 16), shared: [(0, 5)], own: (13, 21)),
          ]
        ]),
      attend(
        "prompt-itself", queries: 20, keys: 20, heads: heads, groups: groups,
        [
          "segments": [
            segment((0, 4), own: (0, 4)), segment((4, 11), shared: [(0, 4)], own: (4, 11)),
            segment((11, 20), shared: [(0, 4)], own: (11, 20)),
          ]
        ]),
      attend(
        "two-shared,out-of-order", queries: 12, keys: 40, heads: heads, groups: groups,
        [
          "segments": [
            segment((5, 12), shared: [(30, 40), (3, 6)], own: (10, 17)),
            segment((0, 5), shared: [(3, 6), (30, 40)], own: (6, 11)),
          ]
        ]),
      attend(
        "histories", queries: 3, keys: 60, heads: heads, groups: groups,
        [
          "segments": [
            segment((0, 1), shared: [(0, 10)], own: (10, 30)), segment((1, 2), shared: [(0, 10)], own: (30, 37)),
            segment((2, 3), shared: [(0, 10)], own: (37, 60)),
          ]
        ]),
      attend(
        "prompt,window=6", queries: 18, keys: 24, heads: heads, groups: groups,
        [
          "window": 6,
          "segments": [
            segment((0, 9), shared: [(0, 6)], own: (6, 15)), segment((9, 18), shared: [(0, 6)], own: (15, 24)),
          ],
        ]),
      attend(
        "encoder", queries: 19, keys: 25, heads: heads, groups: groups,
        [
          "segments": [
            segment((0, 8), shared: [(0, 6)], own: (6, 14), causal: false),
            segment((8, 19), shared: [(0, 6)], own: (14, 25), causal: false),
          ]
        ]),
      attend(
        "cross", queries: 9, keys: 26, heads: heads, groups: groups,
        [
          "segments": [
            segment((0, 4), own: (0, 15), causal: false), segment((4, 9), shared: [(15, 26)], causal: false),
          ]
        ]),
      attend(
        "unseen-keys", queries: 6, keys: 30, heads: heads, groups: groups,
        ["segments": [segment((0, 6), shared: [(2, 4)], own: (10, 16))]]),
      attend(
        "nothing-seen", queries: 10, keys: 8, heads: heads, groups: groups,
        ["segments": [segment((0, 4), causal: false), segment((4, 10), own: (0, 3))]]),
      attend(
        "prompt,long", queries: 150, keys: 170, heads: heads, groups: groups, width: 16,
        [
          "segments": [
            segment((0, 70), shared: [(0, 20)], own: (20, 90)), segment((70, 150), shared: [(0, 20)], own: (90, 170)),
          ]
        ], quick: false),
    ]
  }

  /// Positions without a key between the keys and the last query.
  private static let gaps: [ConformanceCase] = [
    attend(
      "gaps", queries: 24, keys: 30,
      [
        "segments": [
          segment((0, 4), shared: [(0, 5)], own: (5, 14), causal: false, gap: 7),
          segment((4, 24), shared: [(0, 5)], own: (14, 30), gap: 3),
        ]
      ]),
    attend(
      "gaps,window=8", queries: 23, keys: 40, heads: 4, groups: 2,
      [
        "window": 8,
        "segments": [segment((0, 3), own: (0, 20), gap: 2), segment((3, 23), own: (20, 40), causal: false, gap: 5)],
      ]),
    attend(
      "alibi,gaps", queries: 20, keys: 26, heads: 3, bias: .init([3], .values([0.5, 0.25, 0.0625])),
      ["bias": "alibi", "segments": [segment((0, 20), shared: [(0, 4)], own: (4, 26), causal: false, gap: 6)]]),
    attend(
      "relative,gaps", queries: 22, keys: 25, heads: 2, bias: .init([8, 2]),
      [
        "bias": "relative", "maximumDistance": 16,
        "segments": [
          segment((0, 5), own: (0, 9), causal: false, gap: 9), segment((5, 22), own: (9, 25), causal: false, gap: 4),
        ],
      ]),
  ]

  private static let biased: [ConformanceCase] = [
    attend(
      "alibi", queries: 18, keys: 18, heads: 3, bias: .init([3], .values([0.5, 0.25, 0.0625])),
      ["bias": "alibi", "causal": true]),
    attend(
      "alibi,prompt", queries: 10, keys: 14, heads: 2, bias: .init([2], .values([0.5, 0.1])),
      [
        "bias": "alibi",
        "segments": [
          segment((0, 6), shared: [(0, 4)], own: (4, 10)), segment((6, 10), shared: [(0, 4)], own: (10, 14)),
        ],
      ]),
    attend(
      "relative,two-sided", queries: 21, keys: 21, heads: 3, bias: .init([8, 3]),
      ["bias": "relative", "maximumDistance": 16]),
    attend(
      "relative,causal", queries: 40, keys: 40, heads: 2, bias: .init([32, 2]),
      ["bias": "relative", "bidirectional": false, "causal": true]),
    attend(
      "relative,far", queries: 4, keys: 200, heads: 2, bias: .init([32, 2]),
      ["bias": "relative", "bidirectional": false, "causal": true], quick: false),
    attend(
      "relative,prompt,grouped", queries: 12, keys: 15, heads: 4, groups: 2, bias: .init([16, 4]),
      [
        "bias": "relative", "maximumDistance": 20,
        "segments": [
          segment((0, 5), shared: [(0, 3)], own: (3, 8), causal: false),
          segment((5, 12), shared: [(0, 3)], own: (8, 15), causal: false),
        ],
      ]),
    attend(
      "relative,window", queries: 25, keys: 25, heads: 1, bias: .init([8, 1]),
      ["bias": "relative", "bidirectional": false, "causal": true, "window": 7, "maximumDistance": 10]),
  ]

  private static let extremes: [ConformanceCase] = [
    attend("large-scores", queries: 12, keys: 12, fill: .normal(deviation: 60), ["causal": true]),
    attend("equal", queries: 12, keys: 19, fill: .constant(0)),
    attend("empty", queries: 0, keys: 0),
    attend("no-keys", queries: 4, keys: 0),
    attend(
      "nan", queries: 9, keys: 9, fill: .normalWith([(20, .nan)]), ["causal": true], nonFinite: true),
    attend("infinity", queries: 6, keys: 6, fill: .normalWith([(20, .infinity)]), ["causal": true], nonFinite: true),
  ]

  /// Operands may be rounded.
  ///
  /// Those of the first products are not changed by it, so that the tolerance is that of the weights and of the gradients
  /// of scores alone; the long ones have any numbers.
  private static let rounded: [ConformanceCase] =
    (plain.filter { !$0.label.contains("heads=1,width=") || $0.label.contains("width=17,") } + packed + gaps + biased)
    .map { roundable($0, exact: true) }
    + packed.filter { $0.label.contains("long") }.map { roundable($0, exact: false) } + [
      roundable(
        attend(
          "prompt=70", queries: 131, keys: 131, width: 33, valueWidth: 17,
          [
            "segments": [segment((0, 70), own: (0, 70)), segment((70, 131), shared: [(0, 70)], own: (70, 131))]
          ]), exact: true),
      roundable(attend("window=40", queries: 150, keys: 150, width: 16, ["causal": true, "window": 40]), exact: true),
    ]

  private static func roundable(_ exactCase: ConformanceCase, exact: Bool) -> ConformanceCase {
    var inputs = exactCase.inputs
    if exact {
      for index in 0..<3 { inputs[index] = inputs[index].map { ConformanceCase.Input($0.shape, .eighths) } }
    }
    return ConformanceCase(
      exactCase.operation, "\(exactCase.label),rounded\(exact ? ",eighths" : "")", inputs,
      exactCase.attributes.merging(["mayRoundOperands": true]) { first, _ in first },
      quick: exactCase.isQuick && !exactCase.label.contains("causal"))
  }
}
