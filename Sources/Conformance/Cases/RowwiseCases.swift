import Compute

extension CaseTable {
  /// Softmax, normalisation and column sums: whatever works along rows.
  static let rowwise: [ConformanceCase] = softmax + normalization + sums

  /// The number of rows that goes with each boundary length.
  private static func rowCount(_ index: Int) -> Int { [1, 2, 3, 5, 17, 33][index % 6] }

  private static let softmax: [ConformanceCase] =
    boundarySizes.enumerated().flatMap { index, n in
      let rows = rowCount(index)
      let quick = [1, 17, 33, 65, 257].contains(n)
      return [
        ConformanceCase("softmax", "rows=\(rows),n=\(n)", [0: .init([rows, n], .normal(deviation: 3))], quick: quick),
        ConformanceCase(
          "softmax", "rows=7,n=\(n),mask,scale=0.125",
          [0: .init([7, n], .normal(deviation: 8)), 1: .init([7, n], .mask(hidden: 0.4))], ["scale": 0.125],
          quick: quick),
      ]
    } + [
      ConformanceCase("softmax", "rows=4,n=37,near-overflow", [0: .init([4, 37], .nearOverflow)], quick: true),
      ConformanceCase(
        "softmax", "rows=2,n=130,large", [0: .init([2, 130], .normal(deviation: 1, mean: 3e4))], quick: true),
      ConformanceCase("softmax", "rows=5,n=100,equal", [0: .init([5, 100], .equalRows)], quick: true),
      ConformanceCase("softmax", "shape=2x3x5x9", [0: .init([2, 3, 5, 9])], quick: true),
      ConformanceCase("softmax", "rows=9,n=33,in-place", [0: .init([9, 33])], ["inPlace": true], quick: true),
      ConformanceCase(
        "softmax", "rows=9,n=20,mask,in-place", [0: .init([9, 20]), 1: .init([9, 20], .mask(hidden: 0.5))],
        ["inPlace": true, "scale": 2], quick: true),
      ConformanceCase("softmax", "rows=0,n=5", [0: .init([0, 5])], quick: true),
      ConformanceCase("softmax", "rows=3,n=0", [0: .init([3, 0])], quick: true),
      ConformanceCase(
        "softmax", "rows=3,n=19,minus-infinity",
        [0: .init([3, 19], .normalWith([(0, -.infinity), (25, -.infinity), (-1, -.infinity)]))], quick: true),
      ConformanceCase(
        "softmax", "rows=3,n=19,nan", [0: .init([3, 19], .normalWith([(22, .nan)]))], nonFinite: true, quick: true),
      ConformanceCase(
        "softmax", "rows=3,n=40,nan-last", [0: .init([3, 40], .normalWith([(-1, .nan)]))], nonFinite: true, quick: true),
      ConformanceCase(
        "softmax", "rows=3,n=19,plus-infinity", [0: .init([3, 19], .normalWith([(22, .infinity)]))], nonFinite: true,
        quick: true),
      ConformanceCase("softmax", "rows=300,n=300", [0: .init([300, 300])]),
    ]

  private static func norm(
    _ operation: String, _ label: String, _ shape: Shape, _ fill: InputFill = .normal(), bias: Bool = false,
    epsilon: Double? = nil, nonFinite: Bool = false, quick: Bool = false
  ) -> ConformanceCase {
    var inputs: [Int: ConformanceCase.Input] = [0: .init(shape, fill), 1: .init([shape.columns])]
    if bias { inputs[2] = .init([shape.columns]) }
    return ConformanceCase(
      operation, label, inputs, epsilon.map { ["epsilon": .number($0)] } ?? [:], nonFinite: nonFinite, quick: quick)
  }

  private static let normalization: [ConformanceCase] = ["layerNorm", "rmsNorm"].flatMap { operation in
    let bias = operation == "layerNorm"
    let sizes = boundarySizes.enumerated().map { index, n in
      norm(
        operation, "rows=\(rowCount(index + 1)),n=\(n)\(bias ? ",bias" : "")", [rowCount(index + 1), n], bias: bias,
        quick: [1, 17, 33, 65, 257].contains(n))
    }
    return sizes + [
      norm(operation, "rows=6,n=50,epsilon=0.1", [6, 50], epsilon: 0.1, quick: true),
      norm(operation, "rows=6,n=768,epsilon=1e-12", [6, 768], epsilon: 1e-12),
      norm(operation, "rows=5,n=96,equal", [5, 96], .equalRows, bias: bias, quick: true),
      norm(operation, "rows=5,n=96,offset", [5, 96], .normal(deviation: 1, mean: 1000), bias: bias, quick: true),
      norm(operation, "rows=4,n=64,large", [4, 64], .normal(deviation: 1e15), bias: bias, quick: true),
      norm(operation, "rows=4,n=64,small", [4, 64], .normal(deviation: 1e-15), bias: bias, quick: true),
      norm(operation, "rows=4,n=48,zero", [4, 48], .constant(0), bias: bias, quick: true),
      norm(operation, "shape=2x3x20", [2, 3, 20], quick: true),
      norm(operation, "rows=0,n=8", [0, 8], quick: true),
      norm(operation, "rows=300,n=65", [300, 65], bias: bias),
      norm(operation, "rows=250,n=272", [250, 272], bias: bias),
      norm(operation, "rows=3,n=19,nan", [3, 19], .normalWith([(22, .nan)]), nonFinite: true, quick: true),
    ]
  }

  private static let sums: [ConformanceCase] =
    boundarySizes.flatMap { size in
      let quick = [1, 17, 33, 65, 257].contains(size)
      return [
        ConformanceCase("columnSums", "rows=\(size),n=19", [0: .init([size, 19])], quick: quick),
        ConformanceCase("columnSums", "rows=21,n=\(size)", [0: .init([21, size])], quick: quick),
      ]
    } + [
      ConformanceCase("columnSums", "rows=0,n=5", [0: .init([0, 5])], quick: true),
      ConformanceCase("columnSums", "rows=3000,n=3", [0: .init([3000, 3])]),
      ConformanceCase("columnSums", "rows=66,n=20,cancelling", [0: .init([20, 66], .cancelling)], quick: true),
      ConformanceCase(
        "columnSums", "rows=9,n=20,nan", [0: .init([9, 20], .normalWith([(70, .nan)]))], nonFinite: true, quick: true),
    ]
}
