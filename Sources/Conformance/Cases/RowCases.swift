import Compute

extension CaseTable {
  /// Gathering, scattering, joining and cutting rows and columns; the largest of each row.
  static let rows: [ConformanceCase] = gathering + scattering + joining + cutting + argmax

  private static let quickSizes: Set<Int> = [1, 17, 33, 65, 257]

  private static let gathering: [ConformanceCase] =
    boundarySizes.flatMap { n in
      let quick = quickSizes.contains(n)
      return [
        ConformanceCase(
          "gatherRows", "R=11,n=\(n),m=7", [0: .init([11, n]), 1: .integers(7, .indices(below: 11))], quick: quick),
        ConformanceCase(
          "gatherRows", "R=9,n=6,m=\(n)", [0: .init([9, 6]), 1: .integers(n, .indices(below: 9))], quick: quick),
      ]
    }
    + [DType.bf16, .f16].flatMap { dtype in
      [1, 33, 64].map { n in
        ConformanceCase(
          "gatherRows", "R=13,n=\(n),m=20,\(dtype.rawValue)",
          [0: .init([13, n], .normal(), dtype), 1: .integers(20, .indices(below: 13))], quick: true)
      }
    } + [
      ConformanceCase("gatherRows", "R=4,n=3,m=0", [0: .init([4, 3]), 1: .integers(0, .values([]))], quick: true),
      ConformanceCase(
        "gatherRows", "R=5,n=9,m=5,nan",
        [0: .init([5, 9], .normalWith([(3, .nan), (44, .infinity)])), 1: .integers(5, .values([4, 0, 2, 0, 4]))],
        nonFinite: true, quick: true),
    ]

  private static let scattering: [ConformanceCase] =
    boundarySizes.flatMap { n in
      let quick = quickSizes.contains(n)
      return [
        ConformanceCase(
          "scatterAddRows", "R=5,n=\(n),m=13",
          [0: .init([5, n]), 1: .integers(13, .indices(below: 5)), 2: .init([13, n])], quick: quick),
        ConformanceCase(
          "scatterAddRows", "R=\(n + 1),n=3,m=\(n)",
          [0: .init([n + 1, 3]), 1: .integers(n, .indices(below: n + 1)), 2: .init([n, 3])], quick: quick),
        ConformanceCase(
          "scatterRows", "R=\(n + 4),n=5,m=\(n)",
          [0: .init([n + 4, 5]), 1: .integers(n, .distinctIndices(below: n + 4)), 2: .init([n, 5])], quick: quick),
        ConformanceCase(
          "scatterRows", "R=9,n=\(n),m=6",
          [0: .init([9, n]), 1: .integers(6, .distinctIndices(below: 9)), 2: .init([6, n])], quick: quick),
      ]
    } + [
      ConformanceCase(
        "scatterAddRows", "R=3,n=4,m=100,one-row",
        [0: .init([3, 4]), 1: .integers(100, .constant(2)), 2: .init([100, 4])], quick: true),
      ConformanceCase(
        "scatterAddRows", "R=3,n=4,m=0", [0: .init([3, 4]), 1: .integers(0, .values([])), 2: .init([0, 4])],
        quick: true),
      ConformanceCase(
        "scatterRows", "R=3,n=4,m=0", [0: .init([3, 4]), 1: .integers(0, .values([])), 2: .init([0, 4])], quick: true),
    ]

  private static let joining: [ConformanceCase] = [
    ConformanceCase(
      "concatRows", "rows=3-1-5,n=7", [0: .init([3, 7]), 1: .init([1, 7]), 2: .init([5, 7])],
      quick: true),
    ConformanceCase("concatRows", "rows=4,n=33", [0: .init([4, 33])], quick: true),
    ConformanceCase(
      "concatRows", "rows=0-2-0,n=5", [0: .init([0, 5]), 1: .init([2, 5]), 2: .init([0, 5])], quick: true),
    ConformanceCase("concatRows", "rows=65-64,n=257", [0: .init([65, 257]), 1: .init([64, 257])]),
    ConformanceCase(
      "concatColumns", "rows=5,n=3-1-8", [0: .init([5, 3]), 1: .init([5, 1]), 2: .init([5, 8])], quick: true),
    ConformanceCase("concatColumns", "rows=33,n=64-17", [0: .init([33, 64]), 1: .init([33, 17])], quick: true),
    ConformanceCase("concatColumns", "rows=2,n=0-4", [0: .init([2, 0]), 1: .init([2, 4])], quick: true),
    ConformanceCase("concatColumns", "rows=129,n=128-257", [0: .init([129, 128]), 1: .init([129, 257])]),
    ConformanceCase("concatColumns", "rows=260,n=272-256", [0: .init([260, 272]), 1: .init([260, 256])]),
  ]

  private static let cutting: [ConformanceCase] = [(0, 9), (3, 4), (2, 8), (5, 5), (8, 9)].flatMap { cut($0, $1) }

  private static func cut(_ start: Int, _ end: Int) -> [ConformanceCase] {
    let attributes: [String: AttributeValue] = ["start": .number(Double(start)), "end": .number(Double(end))]
    let label = "start=\(start),end=\(end)"
    return [
      ConformanceCase("sliceRows", "R=9,n=17,\(label)", [0: .init([9, 17])], attributes, quick: true),
      ConformanceCase("sliceColumns", "R=33,n=9,\(label)", [0: .init([33, 9])], attributes, quick: true),
    ]
  }

  private static let argmax: [ConformanceCase] =
    boundarySizes.flatMap { n in
      [
        ConformanceCase("argmaxRows", "rows=9,n=\(n)", [0: .init([9, n])], quick: quickSizes.contains(n)),
        ConformanceCase("argmaxRows", "rows=\(n),n=9", [0: .init([n, 9])], quick: quickSizes.contains(n)),
      ]
    } + [
      ConformanceCase("argmaxRows", "rows=5,n=70,equal", [0: .init([5, 70], .equalRows)], quick: true),
      ConformanceCase(
        "argmaxRows", "rows=2,n=70,ties", [0: .init([2, 70], .normalWith([(40, 9), (66, 9), (139, 9), (75, 9)]))],
        quick: true),
      ConformanceCase(
        "argmaxRows", "rows=3,n=40,minus-infinity", [0: .init([3, 40], .constant(-.infinity))], quick: true),
      ConformanceCase(
        "argmaxRows", "rows=3,n=40,nan",
        [0: .init([3, 40], .normalWith([(7, .nan), (30, .nan), (50, .infinity), (119, .nan)]))], quick: true),
      ConformanceCase("argmaxRows", "rows=2,n=50257", [0: .init([2, 50257])]),
      ConformanceCase("argmaxRows", "rows=0,n=4", [0: .init([0, 4])], quick: true),
    ]
}
