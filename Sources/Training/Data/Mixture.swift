import Compute

/// Several files of examples that a run draws from with weights.
///
/// A step's examples follow from the seed and the step alone: each place of an epoch chooses its file by the weights,
/// and takes the file's next example in a new order for each pass over that file.
public struct Mixture: Sendable, Hashable {
  /// Separates the choice of files, and the order within one, from other uses of the seed.
  private static let choiceStream: UInt64 = 0x6D69_7874_7572_6500
  private static let orderStream: UInt64 = 0x6D69_786F_7264_0000

  /// Examples of each file; they lie one file after the other.
  public let counts: [Int]
  /// The share of each file among the examples that are seen, 1 in all.
  public let shares: [Double]

  /// - Throws: `TrainingError.configuration` for a weight that is not positive.
  public init(counts: [Int], weights: [Double]) throws {
    precondition(counts.count == weights.count && counts.allSatisfy { $0 > 0 }, "a weight for each file")
    guard weights.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw TrainingError.configuration(origin: "mix", reason: "each weight must be a positive number")
    }
    self.counts = counts
    let sum = weights.reduce(0, +)
    shares = weights.map { $0 / sum }
  }

  var total: Int { counts.reduce(0, +) }

  /// Which example stands at each place of the epochs, one epoch after the other.
  struct Order {
    private let mixture: Mixture
    private let seed: UInt64
    private let shuffles: Bool
    /// The epoch that `next` gives.
    private(set) var epoch = 0
    /// Examples taken from each file so far.
    private(set) var taken: [Int]
    private var orders: [[Int]]

    init(_ mixture: Mixture, seed: UInt64, shuffles: Bool) {
      self.mixture = mixture
      self.seed = seed
      self.shuffles = shuffles
      taken = mixture.counts.map { _ in 0 }
      orders = mixture.counts.map { _ in [] }
    }

    /// The examples of the next epoch.
    mutating func next() -> [Int] {
      var choice = Philox(seed: seed, stream: Mixture.choiceStream ^ UInt64(epoch) << 8)
      epoch += 1
      return (0..<mixture.total).map { _ in take(from: file(Double(choice.nextUniform()))) }
    }

    private func file(_ point: Double) -> Int {
      var rest = point
      for (file, share) in mixture.shares.enumerated() {
        if rest < share { return file }
        rest -= share
      }
      return mixture.shares.count - 1
    }

    private mutating func take(from file: Int) -> Int {
      let count = mixture.counts[file]
      let place = taken[file] % count
      if place == 0 {
        var generator = Philox(
          seed: seed, stream: Mixture.orderStream ^ UInt64(file) << 48 ^ UInt64(taken[file] / count))
        orders[file] = shuffles ? generator.permutation(of: count) : Array(0..<count)
      }
      taken[file] += 1
      return mixture.counts[..<file].reduce(0, +) + orders[file][place]
    }
  }
}
