import Compute

/// Which examples each optimizer step sees.
///
/// It follows from the step's number alone, so a run can continue anywhere.
///
/// A step never reaches across the end of an epoch; the last one of an epoch may have fewer examples.
struct DataOrder {
  /// Separates shuffling from other uses of the seed.
  private static let stream: UInt64 = 0x7368_7566_666C_6500

  let count: Int
  let batchSize: Int
  let accumulate: Int
  let shuffles: Bool
  let seed: UInt64
  private var epoch = -1
  private var order: [Int] = []
  private let mixture: Mixture?
  private var mixed: Mixture.Order?

  init(count: Int, mixture: Mixture? = nil, options: TrainingOptions) {
    self.count = count
    self.mixture = mixture
    batchSize = options.batchSize
    accumulate = options.accumulate
    shuffles = options.shuffles
    seed = options.seed
  }

  var stepsPerEpoch: Int { (count + batchSize * accumulate - 1) / (batchSize * accumulate) }

  /// The epoch of a step (from 1), counted from 0.
  func epoch(ofStep step: Int) -> Int { (step - 1) / stepsPerEpoch }

  /// Examples of the epoch that are used up when a step (from 0) is done.
  func position(afterStep step: Int) -> Int {
    let inEpoch = step % stepsPerEpoch
    return inEpoch == 0 && step > 0 ? count : min(count, inEpoch * batchSize * accumulate)
  }

  /// The batches of a step (from 1): example numbers, at most `batchSize` in each.
  mutating func batches(ofStep step: Int) -> [[Int]] {
    let wanted = epoch(ofStep: step)
    if wanted != epoch {
      epoch = wanted
      order = newOrder(wanted)
    }
    let first = (step - 1) % stepsPerEpoch * batchSize * accumulate
    let end = min(first + batchSize * accumulate, count)
    return stride(from: first, to: end, by: batchSize).map { Array(order[$0..<min($0 + batchSize, end)]) }
  }

  private mutating func newOrder(_ epoch: Int) -> [Int] {
    guard let mixture else {
      var generator = Philox(seed: seed, stream: Self.stream ^ UInt64(epoch))
      return shuffles ? generator.permutation(of: count) : Array(0..<count)
    }
    // What an epoch takes from each file follows from the epochs before it, which are gone through again.
    var mixed = mixed ?? Mixture.Order(mixture, seed: seed, shuffles: shuffles)
    if mixed.epoch > epoch { mixed = Mixture.Order(mixture, seed: seed, shuffles: shuffles) }
    var order = mixed.next()
    while mixed.epoch <= epoch { order = mixed.next() }
    self.mixed = mixed
    return order
  }
}
