import Testing

@testable import Evaluation

@Suite struct MetricsTests {
  private let fixture: MetricsFixture

  init() throws {
    fixture = try MetricsFixture.shared.get()
  }

  @Test func splitsWords() {
    for sample in fixture.words {
      let words = MTEvalWords.split(sample.text)
      #expect(words == sample.words.map { Array($0.utf8) }, "\(sample.text.unicodeScalars.map(\.value))")
    }
  }

  @Test func bleuEqualsSacrebleu() {
    for (index, sample) in fixture.bleu.enumerated() {
      let score = BLEU.corpus(predictions: sample.predictions, references: sample.references)
      #expect(MetricsFixture.agree(score.value, sample.value), "case \(index): \(score.value), not \(sample.value)")
      #expect(score.predictionLength == sample.predictionLength && score.referenceLength == sample.referenceLength)
      #expect(MetricsFixture.agree(score.brevityPenalty, sample.brevityPenalty))
      #expect(zip(score.precisions, sample.precisions).allSatisfy { MetricsFixture.agree($0, $1) }, "case \(index)")
    }
  }

  @Test func bleuOfNothingIsZero() {
    #expect(BLEU.corpus(predictions: [], references: []).value == 0)
  }

  @Test func rougeLEqualsTheReference() {
    for (index, sample) in fixture.rouge.enumerated() {
      let score = ROUGEL.corpus(predictions: sample.predictions, references: sample.references)
      #expect(MetricsFixture.agree(score, sample.value), "case \(index)")
    }
    #expect(ROUGEL.corpus(predictions: [], references: []) == nil)
    #expect(ROUGEL.f1(prediction: "", reference: "") == 0)
    // Five of six words in order: precision 5/5, recall 5/6.
    #expect(
      MetricsFixture.agree(ROUGEL.f1(prediction: "The cat sat, mat on!", reference: "the cat sat mat by on"), 10 / 11))
  }

  @Test func classificationEqualsTheReference() {
    for sample in fixture.labels {
      let (predictions, labels) = (sample.predictions, sample.labels)
      let accuracy = ClassificationScores.accuracy(predictions: predictions, labels: labels)
      let macroF1 = ClassificationScores.macroF1(predictions: predictions, labels: labels)
      let microF1 = ClassificationScores.microF1(predictions: predictions, labels: labels)
      #expect(MetricsFixture.agree(accuracy, sample.accuracy))
      #expect(MetricsFixture.agree(macroF1, sample.macroF1))
      #expect(MetricsFixture.agree(microF1, sample.microF1))
    }
    #expect(ClassificationScores.accuracy(predictions: [], labels: []) == nil)
    #expect(ClassificationScores.macroF1(predictions: [], labels: []) == nil)
    #expect(ClassificationScores.microF1(predictions: [], labels: []) == nil)
  }

  @Test func exactMatchComparesBytes() {
    let score = { (prediction: String, targets: [String]) in
      ClassificationScores.exactMatch(predictions: [prediction], targets: [targets])
    }
    #expect(score("a", ["b", "a"]) == 1)
    #expect(score("a ", ["a"]) == 0)
    #expect(score("\u{E9}", ["e\u{301}"]) == 0)
    #expect(score("", [""]) == 1)
    #expect(score("a", []) == 0)
    #expect(
      ClassificationScores.exactMatch(predictions: ["a", "b", "c"], targets: [["a"], ["a"], ["a", "c"]]) == 2.0 / 3)
    #expect(ClassificationScores.exactMatch(predictions: [], targets: []) == nil)
  }

  @Test func correlationsEqualTheReference() {
    for (index, sample) in fixture.numbers.enumerated() {
      let (predictions, labels) = (sample.predictions, sample.labels)
      let pearson = RegressionScores.pearson(predictions: predictions, labels: labels)
      let spearman = RegressionScores.spearman(predictions: predictions, labels: labels)
      let error = RegressionScores.meanSquaredError(predictions: predictions, labels: labels)
      #expect(MetricsFixture.agree(pearson, sample.pearson, 1e-9), "case \(index)")
      #expect(MetricsFixture.agree(spearman, sample.spearman, 1e-9), "case \(index)")
      #expect(MetricsFixture.agree(error, sample.mse, 1e-12), "case \(index)")
    }
  }

  @Test func undefinedCorrelationsAreNil() {
    for values in [[1, .nan, 3], [1, .infinity, 3], [0.1, 0.1, 0.1]] as [[Double]] {
      #expect(RegressionScores.pearson(predictions: values, labels: [1, 2, 3]) == nil)
      #expect(RegressionScores.spearman(predictions: [1, 2, 3], labels: values) == nil)
    }
    #expect(RegressionScores.pearson(predictions: [], labels: []) == nil)
    #expect(RegressionScores.meanSquaredError(predictions: [], labels: []) == nil)
  }

  @Test func correlationsSurviveExtremeSizes() {
    let labels: [Double] = [1, 2, 4]
    for size in [1e-300, 1e-160, 1e160, 1e300] {
      let score = RegressionScores.pearson(predictions: labels.map { $0 * size }, labels: labels)
      #expect(MetricsFixture.agree(score, 1, 1e-12), "\(size)")
    }
  }
}
