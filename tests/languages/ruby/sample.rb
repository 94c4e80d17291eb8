# frozen_string_literal: true

require "json"

module Billing
  VERSION = "1.2.0"

  # Raised when a card is refused.
  class Refused < StandardError; end

  class Charge
    include Comparable

    attr_reader :amount, :currency
    STATES = %i[open paid].freeze

    class << self
      def build(**options)
        new(options.fetch(:amount), options[:currency])
      end
    end

    def self.from_json(text)
      build(**JSON.parse(text, symbolize_names: true))
    end

    def initialize(amount, currency = "EUR")
      @amount = amount
      @currency = currency
    end

    # Orders by amount.
    def <=>(other)
      amount <=> other.amount
    end

    def paid?
      STATES.last == @state
    end

    private

    def notify!(channel: :mail, &block)
      block.call(channel) if block
    end

    alias_method :alert!, :notify!
    define_method(:refund) { |reason| reason.to_s }
  end

  module Helpers
    module_function

    def format(charge)
      "#{charge.amount} #{charge.currency}"
    end
  end
end

class Billing::Invoice
  scope :open, -> { where(paid: false) }

  def total
    lines.sum(&:amount
  end
end

def helper_at_top(x)
  x
end

RSpec.describe Billing::Charge do
  it "compares" do
    expect(1).to eq(1)
  end
end
