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

  init(count: Int, options: TrainingOptions) {
    self.count = count
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
      var generator = Philox(seed: seed, stream: Self.stream ^ UInt64(wanted))
      order = shuffles ? generator.permutation(of: count) : Array(0..<count)
    }
    let first = (step - 1) % stepsPerEpoch * batchSize * accumulate
    let end = min(first + batchSize * accumulate, count)
    return stride(from: first, to: end, by: batchSize).map { Array(order[$0..<min($0 + batchSize, end)]) }
  }
}
