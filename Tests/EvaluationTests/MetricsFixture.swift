import Foundation
import Testing

/// Texts, numbers and scores made by tools/fixtures/metrics.py.
struct MetricsFixture: Decodable {
  struct Words: Decodable {
    let text: String
    let words: [String]
  }

  struct BLEUCase: Decodable {
    let predictions: [String]
    let references: [[String]]
    let value: Double
    let precisions: [Double]
    let brevityPenalty: Double
    let predictionLength: Int
    let referenceLength: Int
  }

  struct RougeCase: Decodable {
    let predictions: [String]
    let references: [[String]]
    let value: Double
  }

  struct LabelCase: Decodable {
    let predictions: [String]
    let labels: [String]
    let accuracy: Double
    let macroF1: Double
    let microF1: Double
  }

  struct NumberCase: Decodable {
    let predictions: [Double]
    let labels: [Double]
    let pearson: Double?
    let spearman: Double?
    let mse: Double
  }

  let words: [Words]
  let bleu: [BLEUCase]
  let rouge: [RougeCase]
  let labels: [LabelCase]
  let numbers: [NumberCase]

  static let shared: Result<MetricsFixture, any Error> = Result {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/metrics", withExtension: "json"))
    return try JSONDecoder().decode(MetricsFixture.self, from: Data(contentsOf: url))
  }

  /// Whether two numbers agree within a relative tolerance; a NaN agrees with nothing.
  static func agree(_ first: Double, _ second: Double, _ tolerance: Double = 1e-12) -> Bool {
    first == second || abs(first - second) <= tolerance * max(abs(first), abs(second))
  }

  /// The same, where both may be undefined.
  static func agree(_ first: Double?, _ second: Double?, _ tolerance: Double = 1e-12) -> Bool {
    switch (first, second) {
    case (let first?, let second?): agree(first, second, tolerance)
    case (nil, nil): true
    default: false
    }
  }
}
